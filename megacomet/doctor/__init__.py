"""The doctor: what this machine allows, what a number of connections needs, and what has run short already.

`readings` reads the system's files below one root, so that a tree of files is as good as a machine. `checks` is the
table of what is looked at; what a check knows stands in `descriptors`, `queues`, `tcp`, `ports`, `memory` and `ksm`.
`forecast` has the measured cost of a connection, `traces` finds what has run short, `report` puts it together, and
`changes` writes the files that change it, with the text of `etc_files`, and takes them back; `later` finds what other
files make of it. Nothing here knows sockets, clocks or a terminal.
"""
