// Added to govmomi's package simulator: port groups of single hosts, and an account's rights.
package simulator

import (
	"os"
	"strings"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// -- port groups -------------------------------------------------------------------------------------------------------

func (s *HostNetworkSystem) groupAt(name string) int {
	for i := range s.NetworkInfo.Portgroup {
		if s.NetworkInfo.Portgroup[i].Spec.Name == name {
			return i
		}
	}
	return -1
}

// Hosts of a datacenter have port groups of the same name, which the inventory shows as one network.
func (s *HostNetworkSystem) sharesGroup(name string) bool {
	for _, each := range Map.All("HostSystem") {
		host, ok := each.(*HostSystem)
		if !ok || host.ConfigManager.NetworkSystem == nil {
			continue
		}
		other, ok := Map.Get(*host.ConfigManager.NetworkSystem).(*HostNetworkSystem)
		if ok && other != s && other.groupAt(name) >= 0 {
			return true
		}
	}
	return false
}

func (s *HostNetworkSystem) UpdatePortGroup(ctx *Context, c *types.UpdatePortGroup) soap.HasFault {
	body := &methods.UpdatePortGroupBody{}
	at := s.groupAt(c.PgName)
	if at < 0 {
		body.Fault_ = Fault("", &types.NotFound{})
		return body
	}
	folder := s.folder()
	if c.Portgrp.Name != c.PgName {
		if found := Map.FindByName(c.Portgrp.Name, folder.ChildEntity); found != nil && !s.sharesGroup(c.Portgrp.Name) {
			body.Fault_ = Fault("", &types.DuplicateName{Name: c.Portgrp.Name, Object: found.Reference()})
			return body
		}
		if known, ok := Map.FindByName(c.PgName, folder.ChildEntity).(*mo.Network); ok && known != nil {
			known.Name, known.Entity().Name = c.Portgrp.Name, c.Portgrp.Name
		}
	}
	groups := append([]types.HostPortGroup(nil), s.NetworkInfo.Portgroup...)
	groups[at].Spec = c.Portgrp
	s.NetworkInfo.Portgroup = groups
	for i := range s.NetworkInfo.Vswitch {
		for j, each := range s.NetworkInfo.Vswitch[i].Portgroup {
			if each == c.PgName {
				s.NetworkInfo.Vswitch[i].Portgroup[j] = c.Portgrp.Name
			}
		}
	}
	body.Res = &types.UpdatePortGroupResponse{}
	return body
}

// A change names the version that it is based on, and says only what changes.
func (s *DistributedVirtualPortgroup) ReconfigureDVPortgroupTask(req *types.ReconfigureDVPortgroup_Task) soap.HasFault {
	task := CreateTask(s, "reconfigureDvPortgroup", func(*Task) (types.AnyType, types.BaseMethodFault) {
		if req.Spec.ConfigVersion != s.Config.ConfigVersion {
			return nil, &types.ConcurrentAccess{}
		}
		if req.Spec.Name != "" && req.Spec.Name != s.Name {
			folder := Map.getEntityParent(s, "Folder").(*Folder)
			if found := Map.FindByName(req.Spec.Name, folder.ChildEntity); found != nil {
				return nil, &types.DuplicateName{Name: req.Spec.Name, Object: found.Reference()}
			}
			s.Config.Name = req.Spec.Name
			Map.Update(s, []types.PropertyChange{{Name: "name", Val: req.Spec.Name}})
		}
		if req.Spec.DefaultPortConfig != nil {
			s.Config.DefaultPortConfig = req.Spec.DefaultPortConfig
		}
		s.Config.ConfigVersion += "1"
		return nil, nil
	})
	return &methods.ReconfigureDVPortgroup_TaskBody{
		Res: &types.ReconfigureDVPortgroup_TaskResponse{Returnval: task.Run()},
	}
}

// -- rights ------------------------------------------------------------------------------------------------------------

// The environment names what the account lacks; everything else is granted.
func isGranted(privilege string) bool {
	for _, each := range strings.Split(os.Getenv("VCSIM_LACKS"), ",") {
		if each == privilege {
			return false
		}
	}
	return true
}
