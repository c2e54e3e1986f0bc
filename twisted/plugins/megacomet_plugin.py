"""Tells twistd where MegaComet is. Every twistd on the machine imports this file: nothing else belongs here."""

from twisted.application.service import ServiceMaker

MegaComet = ServiceMaker(
    "MegaComet", "megacomet.entry", "A comet server: holds a million browsers open, pushes to any of them.", "megacomet"
)
