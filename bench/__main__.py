"""Run every measurement: `make bench`."""

from bench import commands, images

commands.main()
images.main()
