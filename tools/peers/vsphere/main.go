// A vCenter for tests: govmomi's simulator with the inventory that the flags ask for.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	model := simulator.VPX()
	listen := flag.String("listen", "127.0.0.1:0", "address and port")
	user := flag.String("user", "", "the one user")
	password := flag.String("password", "", "the user's password")
	certificate := flag.String("certificate", "", "PEM file; empty: plain HTTP")
	key := flag.String("key", "", "PEM file")
	flag.IntVar(&model.Machine, "vms", 0, "VMs in each resource pool")
	flag.IntVar(&model.Datastore, "datastores", 2, "datastores")
	flag.IntVar(&model.DelayConfig.Delay, "delay", 0, "milliseconds that every call takes")
	flag.Parse()

	defer model.Remove()
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	model.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *password)}
	server := model.Service.NewServer()
	// The one line that the starter waits for.
	fmt.Printf("ready %s\n", server.URL.Host)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		// The starter holds the other end: when it is gone, so is this.
		buffer := make([]byte, 1)
		if _, err := os.Stdin.Read(buffer); err != nil {
			ended <- syscall.SIGTERM
		}
	}()
	<-ended
	// Close waits for open calls without end, and one may be waiting for updates.
	go server.Close()
}
