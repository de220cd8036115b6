// Added to govmomi's package simulator: figures of use, disks that move, and what comes in by a lease.
package simulator

import (
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// -- figures of use ----------------------------------------------------------------------------------------------------

const tickS = 20

// Every twenty seconds a sample, the oldest first, the same whenever it is asked for; nothing of what is off.
func (p *PerformanceManager) QueryPerf(ctx *Context, req *types.QueryPerf) soap.HasFault {
	body := &methods.QueryPerfBody{Res: new(types.QueryPerfResponse)}
	last := time.Now().Unix() / tickS
	for _, query := range req.QuerySpec {
		if Map.Get(query.Entity) == nil {
			body.Res = nil
			body.Fault_ = Fault("", &types.ManagedObjectNotFound{Obj: query.Entity})
			return body
		}
		if vm, ok := Map.Get(query.Entity).(*VirtualMachine); ok &&
			vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			continue
		}
		first := last - 179
		if query.StartTime != nil {
			first = query.StartTime.Unix()/tickS + 1
		}
		if query.MaxSample > 0 && first < last-int64(query.MaxSample)+1 {
			first = last - int64(query.MaxSample) + 1
		}
		metric := &types.PerfEntityMetric{PerfEntityMetricBase: types.PerfEntityMetricBase{Entity: query.Entity}}
		for tick := first; tick <= last; tick++ {
			metric.SampleInfo = append(metric.SampleInfo,
				types.PerfSampleInfo{Timestamp: time.Unix(tick*tickS, 0).UTC(), Interval: tickS})
		}
		for _, id := range query.MetricId {
			points := p.metricData[query.Entity.Type][id.CounterId]
			if id.Instance == "*" {
				id.Instance = "scsi0:0"
			}
			series := &types.PerfMetricIntSeries{PerfMetricSeries: types.PerfMetricSeries{Id: id}}
			for tick := first; tick <= last; tick++ {
				value := int64(0)
				if len(points) > 0 {
					value = points[tick%int64(len(points))]
				}
				series.Value = append(series.Value, value)
			}
			metric.Value = append(metric.Value, series)
		}
		body.Res.Returnval = append(body.Res.Returnval, metric)
	}
	return body
}

// -- disks that move ---------------------------------------------------------------------------------------------------

// Moving a VM's storage moves the files of its disks; a locator says it of one of them.
func relocateDisks(vm *VirtualMachine, spec *types.VirtualMachineRelocateSpec) {
	wished := map[int32]types.ManagedObjectReference{}
	for _, each := range spec.Disk {
		wished[each.DiskId] = each.Datastore
	}
	devices := append([]types.BaseVirtualDevice(nil), vm.Config.Hardware.Device...)
	for i, device := range devices {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		target, named := wished[disk.Key]
		if !named && spec.Datastore != nil {
			target, named = *spec.Datastore, true
		}
		backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !ok || !named || (backing.Datastore != nil && *backing.Datastore == target) {
			continue
		}
		store := Map.Get(target).(*Datastore)
		var from object.DatastorePath
		from.FromString(backing.FileName)
		to := object.DatastorePath{Datastore: store.Name, Path: from.Path}
		moveFile(vm.findDatastore(from.Datastore), from.Path, store)
		copyDiskSize(backing.FileName, to.String())
		itsBacking, itsDisk := *backing, *disk
		itsBacking.Datastore, itsBacking.FileName = &store.Self, to.String()
		itsDisk.Backing = &itsBacking
		devices[i] = &itsDisk
		known := false
		for _, ref := range vm.Datastore {
			known = known || ref == store.Self
		}
		if !known {
			vm.Datastore = append(vm.Datastore, store.Self)
		}
	}
	Map.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: devices}})
}

func moveFile(from *Datastore, name string, to *Datastore) {
	if from == nil {
		return
	}
	target := path.Join(to.Info.GetDatastoreInfo().Url, name)
	_ = os.MkdirAll(path.Dir(target), 0700)
	stem := strings.TrimSuffix(name, path.Ext(name))
	for _, each := range []string{name, stem + "-flat.vmdk"} {
		_ = os.Rename(path.Join(from.Info.GetDatastoreInfo().Url, each), path.Join(to.Info.GetDatastoreInfo().Url, each))
	}
}

// -- leases ------------------------------------------------------------------------------------------------------------

// What is sent for a disk becomes its file, so that a test can see that it came as it was.
func leaseFile(file string, otherwise io.Writer) io.Writer {
	made, err := os.Create(file)
	if err != nil {
		return otherwise
	}
	return made
}
