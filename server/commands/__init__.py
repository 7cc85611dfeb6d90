"""The subcommands of ``impasto``, one a file. Whatever needs torch is imported when a command runs, not before."""
