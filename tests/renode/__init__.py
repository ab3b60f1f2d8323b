"""The self-test of every real board in a real Renode: run by hand, where there is one."""
