@rem npm runs scripts by cmd.exe here, which has no "exec": elsewhere it makes signals to npm reach the program itself.
@%*
