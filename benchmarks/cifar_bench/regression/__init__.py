"""A report judged against an older one."""
