# SPDX-License-Identifier: Apache-2.0
"""libweft as a program gets it: installed into the lab, found by pkg-config."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[3]


def make(lab, goal):
    # Of the make that runs this test nothing is handed on.
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(["make", goal, f"PREFIX={lab.dir}/usr"], cwd=ROOT, env=env, check=True,
                          capture_output=True, text=True)


def installed(lab):
    """What the environment of a program that is built against it has to say."""
    make(lab, "install")
    return {"PKG_CONFIG_PATH": f"{lab.dir}/usr/lib/pkgconfig",
            "LD_LIBRARY_PATH": f"{lab.dir}/usr/lib"}
