"""Nutanix's own clients against our fake: category, create, task, power on with an ETag, a stale ETag, delete. Prints one JSON object."""
import base64
import json
import sys
import time
import uuid

import ntnx_prism_py_client as prism
import ntnx_vmm_py_client as vmm
from ntnx_vmm_py_client.rest import ApiException

port, cluster, subnet, image = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def client(module):
    configuration = module.Configuration()
    configuration.scheme = "http"
    configuration.host = "127.0.0.1"
    configuration.port = port
    configuration.username = "groundplane"
    configuration.password = "counterpart-only"
    configuration.max_retry_attempts = 0
    return module.ApiClient(configuration=configuration)


vms = vmm.VmApi(api_client=client(vmm))
images = vmm.ImagesApi(api_client=client(vmm))
tasks = prism.TasksApi(api_client=client(prism))
categories = prism.CategoriesApi(api_client=client(prism))


def wait(reference):
    for _ in range(300):
        task = tasks.get_task_by_id(reference.ext_id).data
        if task.status not in ("QUEUED", "RUNNING"):
            return task
        time.sleep(0.02)
    raise RuntimeError("the task does not end")


category = categories.create_category(body=prism.Category(key="groundplane-cluster", value="clu_check")).data
config = vmm.models.vmm.v4.ahv.config
vm = config.Vm.Vm(
    name="check-1",
    num_sockets=2,
    memory_size_bytes=4 * 1024**3,
    cluster=config.ClusterReference.ClusterReference(ext_id=cluster),
    categories=[config.CategoryReference.CategoryReference(ext_id=category.ext_id)],
    disks=[config.Disk.Disk(
        disk_address=config.DiskAddress.DiskAddress(bus_type="SCSI", index=0),
        backing_info=config.VmDisk.VmDisk(data_source=config.DataSource.DataSource(reference=config.ImageReference.ImageReference(image_ext_id=image))),
    )],
    nics=[config.Nic.Nic(network_info=config.NicNetworkInfo.NicNetworkInfo(nic_type="NORMAL_NIC", subnet=config.SubnetReference.SubnetReference(ext_id=subnet)))],
    guest_customization=config.GuestCustomizationParams.GuestCustomizationParams(config=config.CloudInit.CloudInit(
        datasource_type="CONFIG_DRIVE_V2", cloud_init_script=config.Userdata.Userdata(value=base64.b64encode(b"#cloud-config\n").decode()))),
)
request_id = str(uuid.uuid4())
headers = {"NTNX-Request-Id": request_id}
first = vms.create_vm(body=vm, **headers).data
second = vms.create_vm(body=vm, **headers).data
task = wait(first)
ext_id = task.entities_affected[0].ext_id
listed = vms.list_vms(_filter="name eq 'check-1'").data
read = vms.get_vm_by_id(ext_id)
etag = vmm.ApiClient.get_etag(read)
wait(vms.power_on_vm(ext_id, if_match=etag).data)
state = vms.get_vm_by_id(ext_id).data
try:
    vms.delete_vm_by_id(ext_id, if_match=etag)
    stale = None
except ApiException as error:
    stale = error.status
wait(vms.delete_vm_by_id(ext_id, if_match=vmm.ApiClient.get_etag(vms.get_vm_by_id(ext_id))).data)
gone = vms.list_vms(_filter="name eq 'check-1'").data
found = categories.list_categories(_filter="key eq 'groundplane-cluster'").data
print(json.dumps({
    "sameTask": first.ext_id == second.ext_id, "status": task.status, "listed": [type(item).__name__ for item in listed], "power": state.power_state,
    "addresses": [item.value for item in state.nics[0].network_info.ipv4_info.learned_ip_addresses], "stale": stale, "gone": gone is None,
    "categories": [item.value for item in found], "images": [item.name for item in images.list_images().data],
}))
