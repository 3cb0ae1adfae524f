"""Configuration files of the five services. Everything they keep lies below one folder; everything they bind is on the loopback."""

import os
import shutil

REGION = "RegionOne"
HOST = "groundplane-compute"
# A compute node keeps its identity over restarts, and refuses to start when it lost it.
NODE = "8f2f3d8e-6c1b-4a57-9d0e-5b1f0c7a4e11"
PASSWORD = "counterpart-only"
SERVICES = ("keystone", "placement", "glance", "neutron", "nova")


def database(state, name):
    # Many threads write one file: SQLite makes them queue for at most a minute instead of failing at once.
    return f"sqlite:///{state}/db/{name}.db?timeout=60"


def common(state, name, database_name=None):
    return {
        "DEFAULT": {
            # Needs no broker, and reaches as far as one process; nova's four parts share one for that reason.
            "transport_url": "fake:///",
            "rpc_transport_url": "fake:///",
            "host": HOST,
            "state_path": f"{state}/state/{name}",
            "log_file": f"{state}/log/{name}.log",
            "debug": "false",
        },
        "database": {"connection": database(state, database_name or name), "sqlite_synchronous": "false"},
        "oslo_concurrency": {"lock_path": f"{state}/lock/{name}"},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def login(urls):
    return {
        "auth_url": urls["keystone"],
        "auth_type": "password",
        "username": "service",
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": REGION,
    }


def token_check(urls):
    return {**login(urls), "www_authenticate_uri": urls["keystone"], "service_token_roles_required": "true"}


def keystone(state, urls):
    return {
        **common(state, "keystone"),
        # The least that bcrypt takes: these passwords protect nothing.
        "identity": {"password_hash_rounds": "4"},
        "token": {"provider": "fernet", "expiration": "3600"},
        "fernet_tokens": {"key_repository": f"{state}/keys/fernet"},
        "credential": {"key_repository": f"{state}/keys/credential"},
    }


def placement(state, urls):
    config = common(state, "placement")
    config["placement_database"] = config.pop("database")
    return {**config, "api": {"auth_strategy": "keystone"}, "keystone_authtoken": token_check(urls)}


def glance(state, urls):
    config = common(state, "glance")
    config["DEFAULT"]["enabled_backends"] = "local:file"
    return {
        **config,
        "glance_store": {"default_backend": "local"},
        "local": {"filesystem_store_datadir": f"{state}/images"},
        "paste_deploy": {"flavor": "keystone", "config_file": f"{state}/etc/glance-api-paste.ini"},
        "keystone_authtoken": token_check(urls),
    }


def neutron(state, urls):
    config = common(state, "neutron")
    config["DEFAULT"].update(
        {
            "core_plugin": "ml2",
            "service_plugins": "router",
            "api_paste_config": f"{state}/etc/neutron-api-paste.ini",
            "notify_nova_on_port_status_changes": "false",
            "notify_nova_on_port_data_changes": "false",
            "dhcp_agent_notification": "false",
        }
    )
    return {
        **config,
        "ml2": {
            "type_drivers": "local,flat,vxlan",
            "project_network_types": "vxlan",
            "mechanism_drivers": "groundplane",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
        "keystone_authtoken": token_check(urls),
    }


def nova(state, urls):
    config = common(state, "nova")
    config["DEFAULT"].update({"compute_driver": "fake.FakeDriver", "sync_power_state_interval": "-1"})
    return {
        **config,
        "api_database": {"connection": database(state, "nova_api"), "sqlite_synchronous": "false"},
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token_check(urls),
        "service_user": {**login(urls), "send_service_user_token": "true"},
        "placement": login(urls),
        "neutron": {**login(urls), "endpoint_override": urls["neutron"]},
        "glance": {"endpoint_override": urls["glance"]},
        "vnc": {"enabled": "false"},
    }


BUILDERS = {"keystone": keystone, "placement": placement, "glance": glance, "neutron": neutron, "nova": nova}


def config_file(state, name):
    return f"{state}/etc/{'glance-api' if name == 'glance' else name}.conf"


def write_configs(state, urls, packaged):
    """Writes etc/<service>.conf; `packaged` is the virtualenv's etc folder with the pipelines that the packages bring."""
    for folder in ("etc", "db", "log", "images", *(f"{kind}/{name}" for kind in ("state", "lock") for name in SERVICES)):
        os.makedirs(f"{state}/{folder}", exist_ok=True)
    for name, build in BUILDERS.items():
        with open(config_file(state, name), "w", encoding="utf-8") as file:
            for section, values in build(state, urls).items():
                file.write(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()) + "\n")
    with open(f"{state}/state/nova/compute_id", "w", encoding="utf-8") as file:
        file.write(NODE)
    shutil.copy(f"{packaged}/nova/api-paste.ini", f"{state}/etc/api-paste.ini")
    shutil.copy(f"{packaged}/neutron/api-paste.ini", f"{state}/etc/neutron-api-paste.ini")
    shutil.copy(f"{packaged}/glance/glance-api-paste.ini", f"{state}/etc/glance-api-paste.ini")


def environment(state):
    """What the services read their configuration from when a web server loads them."""
    return {
        "OS_NOVA_CONFIG_DIR": f"{state}/etc",
        "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf",
        "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true",
        "OS_NEUTRON_CONFIG_DIR": f"{state}/etc",
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        "OS_KEYSTONE_CONFIG_DIR": f"{state}/etc",
        "OS_KEYSTONE_CONFIG_FILES": "keystone.conf",
        "OS_GLANCE_CONFIG_DIR": f"{state}/etc",
        "OS_PLACEMENT_CONFIG_DIR": f"{state}/etc",
    }
