"""KVM and QEMU hypervisors through libvirt, local or remote."""
