"""The command line. Each file is one command or a few that belong together; heavy imports stay inside."""
