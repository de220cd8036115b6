"""Files on datastores: finding, making folders, deleting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from providers.base import NotFound
from providers.vsphere import tasks
from providers.vsphere.connection import Connection
from providers.vsphere.errors import fault_is
from providers.vsphere.native import MethodFault, vim
from providers.vsphere.properties import Element, Found, below, children, in_view, retrieve, wanted
from providers.vsphere.records import moment

_BROWSER: Any = vim.host.DatastoreBrowser


@dataclass(frozen=True, slots=True)
class File:
    """A file on a datastore: `path` is "[store] folder/name"."""

    path: str
    store: str
    """The datastore's id."""
    stored_bytes: int
    capacity_kib: int
    changed_at: datetime | None


def split(path: str) -> tuple[str, str, str]:
    """Datastore's name, folder and file name of "[store] folder/name"; raises NotFound for what is no such path."""
    store, closed, rest = path.partition("] ")
    if not store.startswith("[") or not closed or not rest:
        raise NotFound("There is no such file on a datastore.")
    folder, _, name = rest.rpartition("/")
    return store[1:], folder, name


def stores(connection: Connection) -> list[Found]:
    """The datastores that can be used now, with all that is told of them."""
    view = connection.view(vim.Datastore)
    paths = ("name", "summary.type", "summary.url", "summary.capacity", "summary.freeSpace", "summary.accessible")
    return list(retrieve(connection, [in_view(view)], [wanted(vim.Datastore, *paths, "browser")]))


def disks_query() -> Any:
    return _BROWSER.VmDiskQuery(details=_BROWSER.VmDiskQuery.Details(capacityKb=True, diskType=True, thin=True))


def isos_query() -> Any:
    return _BROWSER.IsoImageQuery()


def search(connection: Connection, store: Found, query: Any, *, folder: str = "", name: str = "*") -> Iterator[File]:
    """Files of one sort on a datastore, or in one folder of it. A folder that is not there has none."""
    spec = _BROWSER.SearchSpec(
        query=[query],
        matchPattern=[name],
        details=_BROWSER.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False),
    )
    browser = connection.object(_BROWSER, store.text("browser"))
    root = f"[{store.text('name')}]" + (f" {folder}" if folder else "")
    try:
        if name == "*":
            ended = tasks.wait(connection, browser.SearchDatastoreSubFolders_Task(root, spec))
        else:
            ended = tasks.wait(connection, browser.SearchDatastore_Task(root, spec))
    except MethodFault as exc:
        if fault_is(exc, "vim.fault.FileNotFound"):
            return
        raise
    result = ended.values.get("info.result")
    if result is None:
        return
    for each in [result] if name != "*" else children(result):
        yield from _files(each, store)


def _files(result: Element, store: Found) -> Iterator[File]:
    # "[store]", "[store] folder" or "[store]/folder", with or without a slash at its end.
    head, closed, rest = below(result, "folderPath").partition("]")
    rest = rest.strip("/ ")
    folder = f"{head}{closed} {rest}/" if rest else f"{head}{closed} "
    for file in children(result, "file"):
        yield File(
            path=folder + below(file, "path"),
            store=store.id,
            stored_bytes=int(below(file, "fileSize") or 0),
            capacity_kib=int(below(file, "capacityKb") or 0),
            changed_at=moment(below(file, "modification")),
        )


def find(connection: Connection, path: str, query: Any) -> File:
    """One file by its path; raises NotFound."""
    store_name, folder, name = split(path)
    for store in stores(connection):
        if store.text("name") == store_name:
            for file in search(connection, store, query, folder=folder, name=name):
                return file
    raise NotFound("The file is not on the datastore any more.")


def demand_file(connection: Connection, path: str) -> None:
    """Raise NotFound for a disk or ISO file that is not there."""
    find(connection, path, isos_query() if path.lower().endswith(".iso") else disks_query())


def make_folder(connection: Connection, path: str) -> None:
    """A folder ("[store] name"); one that is there already is fine."""
    try:
        connection.content.fileManager.MakeDirectory(path, connection.datacenter, True)
    except MethodFault as exc:
        if not fault_is(exc, "vim.fault.FileAlreadyExists"):
            raise
