"""The lab served over HTTP to people elsewhere: thin routes over the same functions as the command line's."""
