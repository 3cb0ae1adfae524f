"""Creates empty databases: `schema.py STATE`. By the services' own migrations, except neutron's, which do not run on SQLite."""

import os
import sqlite3
import subprocess
import sys

import configs


def command(state, *arguments):
    program = os.path.join(os.path.dirname(sys.executable), arguments[0])
    subprocess.run([program, *arguments[1:]], check=True, env={**os.environ, **configs.environment(state)}, stdout=subprocess.DEVNULL)


def neutron_schema(state):
    import sqlalchemy
    from neutron.db.migration.models import head

    head.get_metadata().create_all(sqlalchemy.create_engine(f"sqlite:///{state}/db/neutron.db"))


def nova_cells(state):
    config = f"--config-file={configs.config_file(state, 'nova')}"
    command(state, "nova-manage", config, "api_db", "sync")
    command(state, "nova-manage", config, "cell_v2", "map_cell0", "--database_connection", configs.database(state, "nova_cell0"))
    command(state, "nova-manage", config, "db", "sync")
    command(state, "nova-manage", config, "cell_v2", "create_cell", "--name", "cell1")


def create(state):
    for name in ("keystone", "placement", "glance", "neutron", "nova", "nova_api", "nova_cell0"):
        # The mode stays with the file: readers do not wait for the writer.
        with sqlite3.connect(f"{state}/db/{name}.db") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    keystone = f"--config-file={configs.config_file(state, 'keystone')}"
    command(state, "keystone-manage", keystone, "db_sync")
    user = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    command(state, "keystone-manage", keystone, "fernet_setup", *user)
    command(state, "keystone-manage", keystone, "credential_setup", *user)
    # Where keystone listens is written in at every start (bootstrap.readdress).
    urls = [part for kind in ("public", "internal", "admin") for part in (f"--bootstrap-{kind}-url", "http://127.0.0.1:1/v3")]
    access = ("--bootstrap-password", configs.PASSWORD, "--bootstrap-region-id", configs.REGION)
    command(state, "keystone-manage", keystone, "bootstrap", *access, *urls)
    command(state, "placement-manage", f"--config-file={configs.config_file(state, 'placement')}", "db", "sync")
    command(state, "glance-manage", f"--config-file={configs.config_file(state, 'glance')}", "db", "sync")
    neutron_schema(state)
    nova_cells(state)


if __name__ == "__main__":
    create(sys.argv[1])
