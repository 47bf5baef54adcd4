module gindock-test-load

go 1.26.0
