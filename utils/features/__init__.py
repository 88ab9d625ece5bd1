"""From evidence to numbers, call graphs, web events, flows, log lines and sessions, each one transformer each."""
