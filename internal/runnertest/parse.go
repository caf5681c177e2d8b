package runnertest

// ParseCommand reads the command that the runner would find in one line of a
// log.
func ParseCommand(line string) (name, data string, ok bool) { return parseCommand(line) }
