"""The commands of the command line, a module each, and what they share: options, exit codes and tables."""
