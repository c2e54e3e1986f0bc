"""A worker process: client connections parked in one epoll reactor."""
