"""What an operator would set up in a new cloud, by the services' own APIs: catalogue, a customer's project, flavours, an image, an external network."""

import json
import sqlite3
import urllib.error
import urllib.request

import configs

PATHS = {"keystone": "/v3", "placement": "", "glance": "", "neutron": "", "nova": "/v2.1"}
TYPES = {"keystone": "identity", "placement": "placement", "glance": "image", "neutron": "network", "nova": "compute"}
FLAVORS = (("gp.small", 2, 4096, 20), ("gp.medium", 4, 8192, 40), ("gp.large", 8, 16384, 80))


def call(method, url, token=None, body=None, content_type="application/json", headers=None):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": content_type, **({"x-auth-token": token} if token else {}), **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
            return (json.loads(text) if text else None), answer.headers
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url} answered {error.code}: {error.read()[:2000]!r}") from error


def log_in(urls, user, project):
    identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": {"id": "default"}, "password": configs.PASSWORD}}}
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    body, headers = call("POST", urls["keystone"] + "/v3/auth/tokens", body={"auth": {"identity": identity, "scope": scope}})
    return headers["x-subject-token"], body["token"]


def identities(urls):
    """Users, projects, roles and the catalogue; only keystone is needed."""
    base = urls["keystone"] + "/v3"
    token, _ = log_in(urls, "admin", "admin")
    roles = {role["name"]: role["id"] for role in call("GET", f"{base}/roles", token)[0]["roles"]}
    for name, granted in (("service", ("admin", "service")), ("groundplane", ("member",))):
        project = call("POST", f"{base}/projects", token, {"project": {"name": name, "domain_id": "default"}})[0]["project"]["id"]
        user_body = {"user": {"name": name, "domain_id": "default", "password": configs.PASSWORD, "default_project_id": project}}
        user = call("POST", f"{base}/users", token, user_body)[0]["user"]["id"]
        for role in granted:
            call("PUT", f"{base}/projects/{project}/users/{user}/roles/{roles[role]}", token)
    for name, kind in TYPES.items():
        if kind == "identity":
            continue
        service = call("POST", f"{base}/services", token, {"service": {"type": kind, "name": name}})[0]["service"]["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {"service_id": service, "interface": interface, "url": urls[name] + PATHS[name], "region_id": configs.REGION}
            call("POST", f"{base}/endpoints", token, {"endpoint": endpoint})


def offers(urls):
    """Flavours, an image, an external network with addresses of RFC 5737, and an application credential for the customer."""
    token, _ = log_in(urls, "admin", "admin")
    for name, vcpus, ram, disk in FLAVORS:
        call("POST", urls["nova"] + "/v2.1/flavors", token, {"flavor": {"name": name, "vcpus": vcpus, "ram": ram, "disk": disk}})
    image_body = {"name": "ubuntu-24.04", "disk_format": "raw", "container_format": "bare", "visibility": "public", "min_disk": 10, "os_distro": "ubuntu"}
    image = call("POST", urls["glance"] + "/v2/images", token, image_body)[0]["id"]
    call("PUT", f"{urls['glance']}/v2/images/{image}/file", token, b"\0" * 4096, "application/octet-stream")
    network = {"name": "public", "router:external": True, "provider:network_type": "flat", "provider:physical_network": "outside"}
    external = call("POST", urls["neutron"] + "/v2.0/networks", token, {"network": network})[0]["network"]["id"]
    subnet = {"network_id": external, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False, "name": "public"}
    call("POST", urls["neutron"] + "/v2.0/subnets", token, {"subnet": subnet})
    mine, scoped = log_in(urls, "groundplane", "groundplane")
    user = scoped["user"]["id"]
    credential = {"application_credential": {"name": "groundplane", "roles": [{"name": "member"}]}}
    made = call("POST", f"{urls['keystone']}/v3/users/{user}/application_credentials", mine, credential)[0]["application_credential"]
    return {"projectId": scoped["project"]["id"], "applicationCredential": {"id": made["id"], "secret": made["secret"]}}


def readdress(state, urls):
    """A snapshot that starts elsewhere: its catalogue and nova's map of databases name ports and paths of the last time."""
    with sqlite3.connect(f"{state}/db/keystone.db") as database:
        for name, kind in TYPES.items():
            wanted = "UPDATE endpoint SET url = ? WHERE service_id IN (SELECT id FROM service WHERE type = ?)"
            database.execute(wanted, (urls[name] + PATHS[name], kind))
    with sqlite3.connect(f"{state}/db/nova_api.db") as database:
        database.execute("UPDATE cell_mappings SET database_connection = ? WHERE name = 'cell0'", (configs.database(state, "nova_cell0"),))
        database.execute("UPDATE cell_mappings SET database_connection = ? WHERE name = 'cell1'", (configs.database(state, "nova"),))
