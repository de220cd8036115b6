"""The screens and serial lines of simulated VMs: a guest that talks, a terminal, and a server of the RFB protocol."""
