"""Run every measurement: `make bench`."""

from bench import choices, commands, http, images, rolling, service, updates

commands.main()
updates.main()
images.main()
http.main()
choices.main()
service.main()
rolling.main()
