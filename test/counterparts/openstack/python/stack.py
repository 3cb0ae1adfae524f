"""
Starts the five services: `stack.py prepare STATE` makes databases with a bootstrapped cloud and ends; `stack.py serve STATE` serves a copy of
them until its standard input closes. One line of JSON on standard output says that everything answers.
"""

import ctypes
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import bootstrap
import configs
import services

# What all five load; loaded once, before they part.
SHARED = ("sqlalchemy.orm", "alembic", "oslo_config.cfg", "oslo_policy.policy", "oslo_messaging", "oslo_db.sqlalchemy.enginefacade", "keystonemiddleware.auth_token", "webob", "routes", "waitress")  # fmt: skip


class NoEventlet:
    """Nova with native threads refuses to start once eventlet was imported, and some libraries import it only because it is there."""

    def find_spec(self, fullname, path, target=None):
        if fullname.split(".")[0] == "eventlet":
            raise ImportError("the counterpart uses native threads")


def listen():
    sockets = {}
    for name in configs.SERVICES:
        # Bound and listening from the start: whoever calls a neighbour early waits instead of failing.
        sockets[name] = socket.create_server(("127.0.0.1", 0), backlog=256)
    return sockets, {name: f"http://127.0.0.1:{bound.getsockname()[1]}" for name, bound in sockets.items()}


def start(name, state, sockets):
    """A child that serves; its number."""
    child = os.fork()
    if child != 0:
        return child
    try:
        # Linux: when the parent is killed, so are we (prctl PR_SET_PDEATHSIG).
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        # Standard input stays the parent's business, and standard output its one line.
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(f"{state}/log/{name}.out", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        for other, bound in sockets.items():
            if other != name:
                bound.close()
        if name == "neutron":
            # Its configuration module imports eventlet, and does not use it.
            sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, NoEventlet)]
        services.run(name, state, sockets[name])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


def end(children):
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def wait_for_all(urls):
    for name in configs.SERVICES:
        request_path = "/v3" if name == "keystone" else "/"
        try:
            bootstrap.call("GET", urls[name] + request_path)
        except RuntimeError as error:
            if "answered 300" not in str(error):
                raise


def watch(children, state):
    """A service that dies takes the others with it: a cloud in pieces would fail tests in ways that explain nothing."""
    child, status = os.wait()
    name = children.get(child, child)
    with open(f"{state}/log/{name}.out", encoding="utf-8", errors="replace") as log:
        words = log.read()[-1500:]
    print(json.dumps({"error": f"service {name} ended with status {status}: {words}"}), flush=True)
    end(children)
    os._exit(1)


def main(action, state):
    packaged = os.path.join(sys.prefix, "etc")
    sockets, urls = listen()
    configs.write_configs(state, urls, packaged)
    if action == "prepare":
        os.makedirs(f"{state}/keys", exist_ok=True)
        # A process of its own: what it imports must not be in the one that nova comes from.
        subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.py"), state], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip
    bootstrap.readdress(state, urls)
    sys.meta_path.insert(0, NoEventlet())
    from oslo_service import backend

    backend.init_backend(backend.BackendType.THREADING)
    for module in SHARED:
        importlib.import_module(module)
    order = ("keystone", "nova", "neutron", "placement", "glance")
    children = {}
    if action == "prepare":
        children[start("keystone", state, sockets)] = "keystone"
        bootstrap.identities(urls)
        order = order[1:]
    for name in order:
        children[start(name, state, sockets)] = name
    threading.Thread(target=watch, args=(children, state), daemon=True).start()
    wait_for_all(urls)
    if action == "prepare":
        facts = bootstrap.offers(urls)
        with open(f"{state}/facts.json", "w", encoding="utf-8") as file:
            json.dump(facts, file)
    with open(f"{state}/facts.json", encoding="utf-8") as file:
        facts = json.load(file)
    print(json.dumps({"urls": urls, **facts}), flush=True)
    if action == "serve":
        sys.stdin.read()
    for child in list(children):
        os.kill(child, signal.SIGKILL)
    if action == "serve":
        # Whoever started us may have been killed, and would not tidy up.
        shutil.rmtree(state, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], os.path.abspath(sys.argv[2]))
