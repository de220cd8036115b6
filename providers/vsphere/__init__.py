"""VMware vSphere: a vCenter, or a single ESXi host, over its SOAP interface."""
