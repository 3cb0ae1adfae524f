"""Canonical's own client against our fake: list, allocate, deploy, release. Prints one JSON object."""
import asyncio
import json
import sys

from maas.client import connect
from maas.client.enum import NodeStatus


async def main(url, key):
    client = await connect(url, apikey=key)
    before = await client.machines.list()
    zones = await client.zones.list()
    me = await client.users.whoami()
    machine = await client.machines.allocate(cpus=2, memory=8192, tags=["ssd"], zone="az1", agent_name="clu_check")
    allocated = machine.status == NodeStatus.ALLOCATED
    machine = await machine.deploy(user_data=b"#cloud-config\n", distro_series="noble", wait=True, wait_interval=0.02)
    deployed = machine.status == NodeStatus.DEPLOYED
    read = await client.machines.get(machine.system_id)
    addresses = read.ip_addresses
    machine = await machine.release(erase=False, wait=True, wait_interval=0.02)
    released = machine.status == NodeStatus.READY
    print(json.dumps({
        "machines": len(before), "zones": [zone.name for zone in zones], "user": me.username, "zone": read.zone.name, "pool": read.pool.name,
        "cpus": read.cpus, "allocated": allocated, "deployed": deployed, "addresses": addresses, "released": released,
    }))


asyncio.get_event_loop().run_until_complete(main(sys.argv[1], sys.argv[2]))
