// Added to govmomi's package simulator: what a vCenter does and the packaged simulator (0.24) leaves out.
package simulator

import (
	"io/ioutil"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// -- snapshots ---------------------------------------------------------------------------------------------------------

// The simulator changes device lists in place, so a snapshot needs lists of its own.
func copiedConfig(config *types.VirtualMachineConfigInfo) types.VirtualMachineConfigInfo {
	copied := *config
	copied.Hardware.Device = append([]types.BaseVirtualDevice(nil), config.Hardware.Device...)
	copied.ExtraConfig = append([]types.BaseOptionValue(nil), config.ExtraConfig...)
	return copied
}

// Without memory there is nothing to go on running from.
func snapshotState(vm *VirtualMachine, request *types.CreateSnapshot_Task) types.VirtualMachinePowerState {
	if request.Memory {
		return vm.Runtime.PowerState
	}
	return types.VirtualMachinePowerStatePoweredOff
}

func reverted(vm *VirtualMachine, snapshot *VirtualMachineSnapshot) []types.PropertyChange {
	config := copiedConfig(&snapshot.Config)
	changes := []types.PropertyChange{{Name: "config", Val: &config}}
	if item := findSnapshotInTree(vm.Snapshot.RootSnapshotList, snapshot.Self); item != nil {
		changes = append(changes,
			types.PropertyChange{Name: "runtime.powerState", Val: item.State},
			types.PropertyChange{Name: "summary.runtime.powerState", Val: item.State})
	}
	return changes
}

// -- clones ------------------------------------------------------------------------------------------------------------

func applyCloneConfig(to, from *types.VirtualMachineConfigSpec) {
	if from == nil {
		return
	}
	if from.NumCPUs != 0 {
		to.NumCPUs = from.NumCPUs
	}
	if from.MemoryMB != 0 {
		to.MemoryMB = from.MemoryMB
	}
	if from.NumCoresPerSocket != 0 {
		to.NumCoresPerSocket = from.NumCoresPerSocket
	}
	if from.Annotation != "" {
		to.Annotation = from.Annotation
	}
	if from.Firmware != "" {
		to.Firmware = from.Firmware
	}
	to.CpuHotAddEnabled, to.MemoryHotAddEnabled = from.CpuHotAddEnabled, from.MemoryHotAddEnabled
}

func duplicateName(folder *mo.Folder, name string) types.BaseMethodFault {
	if found := Map.FindByName(name, folder.ChildEntity); found != nil {
		return &types.DuplicateName{Name: name, Object: found.Reference()}
	}
	return nil
}

// A device for the clone: the original keeps its own, a card gets a MAC of its own, a linked disk knows its parent.
func clonedDevice(device types.BaseVirtualDevice, request *types.CloneVM_Task) types.BaseVirtualDevice {
	original := reflect.ValueOf(device).Elem()
	copied := reflect.New(original.Type())
	copied.Elem().Set(original)
	clone := copied.Interface().(types.BaseVirtualDevice)
	switch it := clone.(type) {
	case *types.VirtualDisk:
		if backing, ok := it.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			its := *backing
			its.FileName, its.Parent = "", nil
			if request.Spec.Location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking) {
				its.Parent = backing
			}
			it.Backing = &its
		}
	case types.BaseVirtualEthernetCard:
		it.GetVirtualEthernetCard().MacAddress = ""
	}
	return clone
}

// -- extra configuration -----------------------------------------------------------------------------------------------

// One value for a key, and none when it is empty.
func setExtra(vm *VirtualMachine, option types.BaseOptionValue) {
	wanted := option.GetOptionValue()
	kept := make([]types.BaseOptionValue, 0, len(vm.Config.ExtraConfig)+1)
	for _, each := range vm.Config.ExtraConfig {
		if each.GetOptionValue().Key != wanted.Key {
			kept = append(kept, each)
		}
	}
	if text, isText := wanted.Value.(string); !isText || text != "" {
		kept = append(kept, option)
	}
	vm.Config.ExtraConfig = kept
}

// The property path of one value: config.extraConfig["key"].
func extraValue(object reflect.Value, name string) (interface{}, bool) {
	key := strings.TrimPrefix(name, `config.extraConfig["`)
	if key == name || !strings.HasSuffix(key, `"]`) {
		return nil, false
	}
	vm, ok := object.Addr().Interface().(*mo.VirtualMachine)
	if !ok || vm.Config == nil {
		return nil, true
	}
	for _, each := range vm.Config.ExtraConfig {
		if option := each.GetOptionValue(); option.Key == strings.TrimSuffix(key, `"]`) {
			return *option, true
		}
	}
	return nil, true
}

// -- long answers come in pages ----------------------------------------------------------------------------------------

var pages struct {
	sync.Mutex
	left map[string][]types.ObjectContent
	size map[string]int
}

func page(result *types.RetrieveResult, most int) {
	if most <= 0 || len(result.Objects) <= most {
		return
	}
	pages.Lock()
	defer pages.Unlock()
	if pages.left == nil {
		pages.left, pages.size = map[string][]types.ObjectContent{}, map[string]int{}
	}
	result.Token = uuid.New().String()
	pages.left[result.Token], pages.size[result.Token] = result.Objects[most:], most
	result.Objects = result.Objects[:most]
}

func (pc *PropertyCollector) ContinueRetrievePropertiesEx(ctx *Context, request *types.ContinueRetrievePropertiesEx) soap.HasFault {
	body := &methods.ContinueRetrievePropertiesExBody{}
	pages.Lock()
	left, known := pages.left[request.Token]
	most := pages.size[request.Token]
	delete(pages.left, request.Token)
	pages.Unlock()
	if !known {
		body.Fault_ = Fault("", &types.InvalidArgument{InvalidProperty: "token"})
		return body
	}
	result := types.RetrieveResult{Objects: left}
	page(&result, most)
	body.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: result}
	return body
}

// -- disks and their sizes ---------------------------------------------------------------------------------------------

// Files of the simulator are empty; their sizes are kept by their paths.
var diskSizes sync.Map

func rememberDisk(disk *types.VirtualDisk, file string) {
	if disk.CapacityInKB == 0 {
		if size, ok := diskSizes.Load(file); ok {
			disk.CapacityInKB = size.(int64)
		}
	}
	disk.CapacityInBytes = disk.CapacityInKB * 1024
	diskSizes.Store(file, disk.CapacityInKB)
}

func rememberVolume(request *types.CreateVirtualDisk_Task) {
	if spec, ok := request.Spec.(*types.FileBackedVirtualDiskSpec); ok {
		diskSizes.Store(request.Name, spec.CapacityKb)
	}
}

func copyDiskSize(from, to string) {
	if size, ok := diskSizes.Load(from); ok {
		diskSizes.Store(to, size)
	}
}

func diskFile(info types.FileInfo, folder string) *types.VmDiskFileInfo {
	found := &types.VmDiskFileInfo{FileInfo: info}
	parts := strings.SplitN(folder, "]", 2)
	name := parts[0] + "] " + path.Join(strings.Trim(parts[1], "/ "), info.Path)
	if size, ok := diskSizes.Load(name); ok {
		found.CapacityKb = size.(int64)
	}
	return found
}

func (m *VirtualDiskManager) ExtendVirtualDiskTask(_ *Context, request *types.ExtendVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "extendVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		size, ok := diskSizes.Load(request.Name)
		if !ok {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: request.Name}}
		}
		if request.NewCapacityKb < size.(int64) {
			return nil, &types.InvalidArgument{InvalidProperty: "newCapacityKb"}
		}
		diskSizes.Store(request.Name, request.NewCapacityKb)
		return nil, nil
	})
	return &methods.ExtendVirtualDisk_TaskBody{Res: &types.ExtendVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

// A deleted VM takes its own files along; disks that it had given back stay in its folder.
func removeHome(vm *VirtualMachine, datacenter *types.ManagedObjectReference) {
	home, fault := Map.FileManager().resolve(datacenter, vm.Config.Files.LogDirectory)
	if fault != nil {
		return
	}
	files, _ := ioutil.ReadDir(home)
	for _, file := range files {
		if path.Ext(file.Name()) != ".vmdk" {
			_ = os.RemoveAll(path.Join(home, file.Name()))
		}
	}
	_ = os.Remove(home)
}

// -- guests and consoles -----------------------------------------------------------------------------------------------

// The guest tells nothing more of a card that was taken out.
func forgetCard(vm *VirtualMachine, spec *types.VirtualDeviceConfigSpec) {
	card, ok := spec.Device.(types.BaseVirtualEthernetCard)
	if !ok || spec.Operation != types.VirtualDeviceConfigSpecOperationRemove {
		return
	}
	kept := make([]types.GuestNicInfo, 0, len(vm.Guest.Net))
	for _, each := range vm.Guest.Net {
		if each.MacAddress != card.GetVirtualEthernetCard().MacAddress {
			kept = append(kept, each)
		}
	}
	vm.Guest.Net = kept
}

func toolsFault(vm *VirtualMachine) *soap.Fault {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return Fault("", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  vm.Runtime.PowerState,
		})
	}
	if vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		return Fault("", &types.ToolsUnavailable{})
	}
	return nil
}

func (vm *VirtualMachine) RebootGuest(ctx *Context, request *types.RebootGuest) soap.HasFault {
	body := &methods.RebootGuestBody{Fault_: toolsFault(vm)}
	if body.Fault_ == nil {
		body.Res = new(types.RebootGuestResponse)
	}
	return body
}

// The screen is a peer of the test's, whose port and ticket the environment names.
func (vm *VirtualMachine) AcquireTicket(ctx *Context, request *types.AcquireTicket) soap.HasFault {
	body := &methods.AcquireTicketBody{}
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		body.Fault_ = Fault("", &types.InvalidState{})
		return body
	}
	port, _ := strconv.Atoi(os.Getenv("VCSIM_SCREEN_PORT"))
	ticket := types.VirtualMachineTicket{
		Ticket:        strings.Replace(uuid.New().String(), "-", "", -1)[:16],
		CfgFile:       vm.Config.Files.VmPathName,
		Host:          "127.0.0.1",
		Port:          int32(port),
	}
	if known := os.Getenv("VCSIM_SCREEN_TICKET"); known != "" {
		ticket.Ticket = known
	}
	if request.TicketType == "webmks" {
		ticket.Url = "wss://127.0.0.1:" + strconv.Itoa(port) + "/ticket/" + ticket.Ticket
	}
	body.Res = &types.AcquireTicketResponse{Returnval: ticket}
	return body
}
