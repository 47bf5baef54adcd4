"""Run every measurement: `make bench`."""

from bench import commands, http, images, middleware, rolling, service

commands.main()
images.main()
http.main()
middleware.main()
service.main()
rolling.main()
