"""Builds ext/engine/*.pyx into engine._*; everything else is in pyproject.toml."""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext as _build_ext

TRACE = bool(os.environ.get("ENGINE_TRACE"))  # line tracing, for coverage
SANITIZE = bool(os.environ.get("ENGINE_SANITIZE"))  # address and undefined-behaviour sanitizers
DEBUG = TRACE or SANITIZE or bool(os.environ.get("ENGINE_DEBUG"))

MACROS = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if TRACE else []
CFLAGS = ["-O1" if SANITIZE else "-O0", "-g3", "-UNDEBUG"] if DEBUG else ["-O3", "-g"]
LDFLAGS: list[str] = []
if SANITIZE:
    CFLAGS += ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    LDFLAGS += ["-fsanitize=address,undefined"]

# Coverage looks for the C beside the pyx; every other build keeps it out of the sources.
BUILD_DIR = None if TRACE else "build/cython"

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "auto_pickle": False,
    "embedsignature": True,  # help() shows the arguments
    "linetrace": TRACE,
}


def extension(source: Path) -> Extension:
    folder = source.parent
    return Extension(
        f"engine.{source.stem}",
        [source.as_posix()],
        depends=[p.as_posix() for p in sorted([*folder.glob("*.pxd"), *folder.glob("*.h")])],
        include_dirs=[folder.as_posix()],
        define_macros=MACROS,
        extra_compile_args=CFLAGS,
        extra_link_args=LDFLAGS,
    )


class build_ext(_build_ext):
    """Translate at build time only: metadata and sdist never run Cython."""

    def finalize_options(self) -> None:
        # An editable install calls this twice; the second time the sources are C already.
        modules = self.distribution.ext_modules
        if any(source.endswith(".pyx") for module in modules for source in module.sources):
            from Cython.Build import cythonize

            modules[:] = cythonize(
                modules,
                build_dir=BUILD_DIR,
                include_path=["ext"],
                compiler_directives=DIRECTIVES,
                nthreads=os.cpu_count() or 1,
            )
        self.parallel = self.parallel or os.cpu_count()
        super().finalize_options()


setup(
    ext_modules=[extension(source) for source in sorted(Path("ext/engine").glob("*.pyx"))],
    cmdclass={"build_ext": build_ext},
)
