"""Run every measurement: `make bench`."""

from bench import commands, http, images, middleware, rolling, service, updates

commands.main()
updates.main()
images.main()
http.main()
middleware.main()
service.main()
rolling.main()
