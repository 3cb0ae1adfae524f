"""Runs one service in this process, on a socket that was bound before."""

import importlib
import os
import sys
import warnings

import configs

MODULES = {"keystone": "keystone.wsgi.api", "placement": "placement.wsgi.api", "glance": "glance.wsgi.api", "neutron": "neutron.wsgi.api"}
# Answers are small and the machine has few cores; nova's API calls itself and its neighbours, hence more than a handful.
THREADS = 12


def nova_application(state):
    """Conductor, scheduler, compute with the fake hypervisor, and the API in one process, joined by the in-memory bus."""
    from nova.wsgi import osapi_compute  # Reads the configuration, prepares messages and databases.
    from nova import context, objects, service
    from nova.objects import host_mapping

    from oslo_utils.fixture import uuidsentinel

    # The fake hypervisor asks this fixture for its identity, and would get another one at each start.
    setattr(uuidsentinel, f"node_{configs.HOST}", configs.NODE)
    objects.register_all()
    for binary, topic in (("nova-conductor", "conductor"), ("nova-scheduler", "scheduler"), ("nova-compute", "compute")):
        service.Service.create(binary=binary, topic=topic).start()
    host_mapping.discover_hosts(context.get_admin_context())
    return osapi_compute.application


def write_only_when_writing():
    """
    oslo.db opens every SQLite transaction with a read, and a second writer then fails at once ("database is locked"): its snapshot is old. Here a
    transaction begins with its first write and waits for its turn; what was read before it was read without one.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "begin")
    def begin(connection):
        connection.connection.dbapi_connection.isolation_level = "IMMEDIATE"
        # What oslo.db's own listener looks for before it begins.
        connection.info["in_transaction"] = True

    @event.listens_for(Engine, "savepoint")
    def savepoint(connection, name):
        database = connection.connection.dbapi_connection
        if not database.in_transaction:
            database.execute("BEGIN IMMEDIATE")


def run(name, state, listening):
    warnings.filterwarnings("ignore")
    os.environ.update(configs.environment(state))
    sys.argv = [f"{name}-api", "--config-file", configs.config_file(state, name)]
    write_only_when_writing()
    application = nova_application(state) if name == "nova" else importlib.import_module(MODULES[name]).application
    from waitress import serve

    serve(application, sockets=[listening], threads=THREADS, _quiet=True)
