"""Starts a kernel that is a Python module, in a folder that may hold anything.

``python -m ipykernel_launcher`` looks into the working folder first, already for what ``-m`` itself needs: a ``types.py``
beside a notebook ends the kernel before it can say why. ``python -P`` is no way out, because IPython then keeps the folder
off the path for good, and no notebook could import its neighbours. Run as a file, this has only its own folder first, which
it takes away before it imports anything; IPython adds the working folder itself, behind the standard library.

Arguments: ``--no-debugger`` (or nothing), the module, and the module's own. It runs in any Python a kernel may have.
"""

import sys

# Of a Python that is told to be safe, the first is another folder.
if sys.path and sys.path[0] == __file__.rpartition("/")[0]:
    del sys.path[0]


def main() -> None:
    """Run the module as ``python -m`` would."""
    del sys.argv[0]
    if sys.argv[0] == "--no-debugger":
        del sys.argv[0]
        without_debugger()
    import runpy  # noqa: PLC0415

    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def without_debugger() -> None:
    """Let ipykernel find no debugpy, which would listen on TCP for whoever connects first, without any key.

    What the person's own code imports later is not touched.
    """
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    try:
        import ipykernel.debugger  # noqa: F401, PLC0415
    except ImportError:
        pass
    finally:
        del sys.modules["debugpy"]


if __name__ == "__main__":
    main()
