"""The kind "openstack": a project of an OpenStack cloud, through its official SDK."""
