"""Builds the simulated vCenter from Debian's packages: ``python -m tools.peers.vsphere.build`` prints where it is.

Debian packages govmomi's library with its simulator, and no command of it. Ours is `main.go`; where the packaged
simulator behaves unlike a vCenter, copies of its files are mended and laid over the package (`go build -overlay`). The
package itself stays as it is. The result is kept outside the repository and built again when anything here changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
GOPATH = Path("/usr/share/gocode")
SIMULATOR = GOPATH / "src/github.com/vmware/govmomi/simulator"
PACKAGES = "golang-go golang-github-vmware-govmomi-dev"
BUILD_S = 600


class CannotBuild(Exception):
    """The simulated vCenter cannot be built here; the text says why."""


@dataclass(frozen=True, slots=True)
class Mend:
    """One place of the packaged simulator, and what stands there in our copy."""

    file: str
    why: str
    old: str
    new: str


MENDS = (
    Mend("snapshot.go", "pyvmomi takes no task whose entity is no entity", 'CreateTask(v, "', 'CreateTask(v.Vm, "'),
    Mend(
        "snapshot.go",
        "going back restores the machine",
        '{Name: "snapshot.currentSnapshot", Val: v.Self},\n\t\t\t})',
        '{Name: "snapshot.currentSnapshot", Val: v.Self},\n\t\t\t})\n\t\t\tMap.Update(vm, reverted(vm, v))',
    ),
    Mend(
        "virtual_machine.go",
        "a snapshot is a copy",
        "snapshot.Config = *vm.Config",
        "snapshot.Config = copiedConfig(vm.Config)",
    ),
    Mend(
        "virtual_machine.go",
        "only memory keeps a machine running",
        "State:           vm.Runtime.PowerState,\n\t\t\tQuiesced",
        "State:           snapshotState(vm, req),\n\t\t\tQuiesced",
    ),
    Mend(
        "property_collector.go",
        "reading an unset property is an empty answer, reading a deleted object a fault",
        "\tobj := res.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects[0]\n\tif len(obj.PropSet) == 0 {\n",
        "\tobjs := res.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects\n\tif len(objs) == 0 {\n"
        '\t\tbody.Fault_ = Fault("", &types.ManagedObjectNotFound{Obj: req.This})\n\t\treturn body\n\t}\n'
        "\tobj := objs[0]\n\tif len(obj.PropSet) == 0 {\n\t\tif len(obj.MissingSet) == 0 {\n"
        "\t\t\tbody.Res = &internal.FetchResponse{}\n\t\t\treturn body\n\t\t}\n",
    ),
    Mend(
        "property_collector.go",
        "one extra value can be asked for",
        '\tvar value interface{}\n\tfields := strings.Split(p, ".")\n',
        "\tif found, isExtra := extraValue(rval, p); isExtra {\n\t\treturn found, nil\n\t}\n"
        '\tvar value interface{}\n\tfields := strings.Split(p, ".")\n',
    ),
    Mend(
        "property_collector.go",
        "long answers come in pages",
        "\t\tres.Objects = objects\n",
        "\t\tres.Objects = objects\n\t\tpage(res, int(r.Options.MaxObjects))\n",
    ),
    Mend(
        "virtual_machine.go",
        "a clone takes the wished size",
        "\t\tconfig.VirtualSMCPresent = vm.Config.Hardware.VirtualSMCPresent\n",
        "\t\tconfig.VirtualSMCPresent = vm.Config.Hardware.VirtualSMCPresent\n"
        "\t\tapplyCloneConfig(&config, req.Spec.Config)\n",
    ),
    Mend(
        "virtual_machine.go",
        "a clone takes no name that is taken",
        '\t\t\treturn nil, &types.InvalidArgument{InvalidProperty: "spec.location.pool"}\n\t\t}\n\t\tconfig := ',
        '\t\t\treturn nil, &types.InvalidArgument{InvalidProperty: "spec.location.pool"}\n\t\t}\n'
        "\t\tif fault := duplicateName(folder, req.Name); fault != nil {\n\t\t\treturn nil, fault\n\t\t}\n"
        "\t\tconfig := ",
    ),
    Mend(
        "virtual_machine.go",
        "a clone has devices of its own",
        "\t\t\tswitch disk := device.(type) {\n\t\t\tcase *types.VirtualDisk:\n\t\t\t\t// TODO: consider",
        "\t\t\tdevice = clonedDevice(device, req)\n"
        "\t\t\tswitch device.(type) {\n\t\t\tcase *types.VirtualDisk:\n\t\t\t\t// TODO: consider",
    ),
    Mend(
        "virtual_machine.go",
        "see clonedDevice",
        '\t\t\t\tdisk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).FileName = ""\n'
        "\t\t\t\tdisk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).Parent = nil\n",
        "",
    ),
    Mend(
        "virtual_machine.go",
        "a clone lives where it was wished",
        "\t\t\tHost:   vm.Runtime.Host,\n",
        "\t\t\tHost:   req.Spec.Location.Host,\n",
    ),
    Mend(
        "virtual_machine.go",
        "a card that is taken out has no addresses",
        "\t\tcase types.BaseVirtualEthernetCard:\n"
        "\t\t\tvar net types.ManagedObjectReference\n\n\t\t\tswitch b := device",
        "\t\tcase types.BaseVirtualEthernetCard:\n\t\t\tforgetCard(vm, spec)\n"
        "\t\t\tvar net types.ManagedObjectReference\n\n\t\t\tswitch b := device",
    ),
    Mend(
        "virtual_machine.go",
        "a key has one value",
        "\t\t\tvm.Config.ExtraConfig = append(vm.Config.ExtraConfig, c)\n",
        "\t\t\tsetExtra(vm, c)\n",
    ),
    Mend(
        "virtual_machine.go",
        "a deleted machine takes its own files only",
        "\t\tm := Map.FileManager()\n\n\t\t_ = m.DeleteDatastoreFileTask(&types.DeleteDatastoreFile_Task{\n"
        "\t\t\tThis:       m.Reference(),\n\t\t\tName:       vm.Config.Files.LogDirectory,\n"
        "\t\t\tDatacenter: &dc.Self,\n\t\t})\n",
        "\t\tremoveHome(vm, &dc.Self)\n",
    ),
    Mend(
        "virtual_machine.go",
        "disks have sizes",
        "\t\t\tp, _ := parseDatastorePath(info.FileName)\n\t\t\tds := vm.findDatastore(p.Datastore)\n"
        "\t\t\tinfo.Datastore = &ds.Self\n",
        "\t\t\trememberDisk(x, info.FileName)\n"
        "\t\t\tp, _ := parseDatastorePath(info.FileName)\n\t\t\tds := vm.findDatastore(p.Datastore)\n"
        "\t\t\tinfo.Datastore = &ds.Self\n",
    ),
    Mend(
        "virtual_machine.go",
        "a guest without tools hears nothing",
        "\tr := &methods.ShutdownGuestBody{}\n",
        "\tr := &methods.ShutdownGuestBody{}\n\tif fault := toolsFault(vm); fault != nil {\n"
        "\t\tr.Fault_ = fault\n\t\treturn r\n\t}\n",
    ),
    Mend(
        "virtual_disk_manager.go",
        "disks have sizes",
        "\t\treturn req.Name, nil\n",
        "\t\trememberVolume(req)\n\t\treturn req.Name, nil\n",
    ),
    Mend(
        "virtual_disk_manager.go",
        "a copy is as large as its original",
        "\t\tdest := vdmNames(req.DestName)\n",
        "",
    ),
    Mend(
        "virtual_disk_manager.go",
        "the same",
        "\t\tfm := Map.FileManager()\n\n\n",
        "\t\tfm := Map.FileManager()\n\n\t\tcopyDiskSize(req.SourceName, req.DestName)\n"
        "\t\tdest := vdmNames(req.DestName)\n",
    ),
    Mend(
        "host_datastore_browser.go",
        "disks have sizes",
        "finfo = &types.VmDiskFileInfo{FileInfo: info}",
        "finfo = diskFile(info, res.FolderPath)",
    ),
    Mend(
        "entity.go",
        "a taken name is called so",
        'return nil, &types.InvalidArgument{InvalidProperty: "name"}',
        "return nil, &types.DuplicateName{Name: r.NewName, Object: Map.FindByName(r.NewName, parent.ChildEntity)"
        ".Reference()}",
    ),
    Mend(
        "performance_manager.go",
        "figures are those of the moments they were measured at",
        "func (p *PerformanceManager) QueryPerf(ctx",
        "func (p *PerformanceManager) packagedQueryPerf(ctx",
    ),
    Mend(
        "portgroup.go",
        "a change leaves alone what it does not name",
        "func (s *DistributedVirtualPortgroup) ReconfigureDVPortgroupTask(req",
        "func (s *DistributedVirtualPortgroup) packagedReconfigureTask(req",
    ),
    Mend(
        "host_network_system.go",
        "several hosts have a port group of the same name",
        "if obj := Map.FindByName(c.Portgrp.Name, folder.ChildEntity); obj != nil {",
        "obj, shared := Map.FindByName(c.Portgrp.Name, folder.ChildEntity), s.sharesGroup(c.Portgrp.Name)\n"
        "\tif obj != nil && (!shared || s.groupAt(c.Portgrp.Name) >= 0) {",
    ),
    Mend(
        "host_network_system.go",
        "the same",
        "\tfolderPutChild(ctx, &folder.Folder, network)\n\n\tvswitch.Portgroup",
        "\tif !shared {\n\t\tfolderPutChild(ctx, &folder.Folder, network)\n\t}\n\n\tvswitch.Portgroup",
    ),
    Mend(
        "host_network_system.go",
        "the same",
        "\tfolderRemoveChild(ctx, &folder.Folder, e.Reference())\n\n\tfor i, pg",
        "\tif !s.sharesGroup(c.PgName) {\n\t\tfolderRemoveChild(ctx, &folder.Folder, e.Reference())\n"
        "\t}\n\n\tfor i, pg",
    ),
    Mend(
        "virtual_machine.go",
        "moving storage moves disks",
        "\t\tMap.Update(vm, changes)\n\n\t\treturn nil, nil\n\t})\n\n\treturn &methods.RelocateVM_TaskBody{",
        "\t\tMap.Update(vm, changes)\n\t\trelocateDisks(vm, &req.Spec)\n\n\t\treturn nil, nil\n\t})\n\n"
        "\treturn &methods.RelocateVM_TaskBody{",
    ),
    Mend(
        "http_nfc_lease.go",
        "what is sent is kept",
        "dst = ioutil.Discard",
        "dst = leaseFile(file, ioutil.Discard)",
    ),
    Mend("authorization_manager.go", "an account may lack rights", "IsGranted: true,", "IsGranted: isGranted(id),"),
    Mend("authorization_manager.go", "the same", "p[i] = true", "p[i] = isGranted(req.PrivId[i])"),
)
#: Our own files, which are added to the package.
ADDED = ("extension.go", "hosts.go", "measures.go")


def binary() -> Path:
    """The built simulator; builds it when it is not there or not of this source. Raises CannotBuild."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvweb"
    path = folder / f"vcsim-{_fingerprint()}"
    if path.exists():
        return path
    if shutil.which("go") is None or not SIMULATOR.is_dir():
        raise CannotBuild(f"The simulated vCenter is built with Debian's packages {PACKAGES}, which are not here.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "vcsim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            print(f"Building the simulated vCenter, once, into {path} (about a minute and a half)", file=sys.stderr)
            _build(path)
            for old in folder.glob("vcsim-*"):
                if old != path:
                    old.unlink(missing_ok=True)
    return path


def _fingerprint() -> str:
    parts = [(HERE / name).read_bytes() for name in ("main.go", *ADDED)] + [repr(MENDS).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _build(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kvweb-vcsim-") as scratch:
        room = Path(scratch)
        overlay = room / "overlay.json"
        overlay.write_text(json.dumps({"Replace": _mended(room)}))
        made = room / "vcsim"
        command = ["go", "build", "-overlay", str(overlay), "-o", str(made), str(HERE / "main.go")]
        settings = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""}
        try:
            subprocess.run(
                command, env={**os.environ, **settings}, check=True, capture_output=True, text=True, timeout=BUILD_S
            )
        except subprocess.CalledProcessError as exc:
            raise CannotBuild(f"The simulated vCenter cannot be built: {exc.stderr[-2000:]}") from exc
        except subprocess.TimeoutExpired as exc:
            raise CannotBuild(f"Building the simulated vCenter took more than {BUILD_S} s.") from exc
        half = target.with_suffix(".half")
        shutil.copy2(made, half)
        half.rename(target)


def _mended(room: Path) -> dict[str, str]:
    """Original → our copy, for every file that is mended, and our own files that are added."""
    replaced = {str(SIMULATOR / f"kvweb_{name}"): str(HERE / name) for name in ADDED}
    for name in dict.fromkeys(mend.file for mend in MENDS):
        text = (SIMULATOR / name).read_text()
        for mend in MENDS:
            if mend.file == name:
                if mend.old not in text:
                    raise CannotBuild(f"{name} of this govmomi is not what was mended so far ({mend.why}).")
                text = text.replace(mend.old, mend.new)
        (room / name).write_text(text)
        replaced[str(SIMULATOR / name)] = str(room / name)
    return replaced


if __name__ == "__main__":
    print(binary())
