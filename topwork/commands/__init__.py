"""The commands of the command line, one per module: functions that parse their arguments, call topwork and print."""
