// A gateway on gorilla/websocket: `{type, payload}` pushed to whoever is there, 512 KB at most, 256 messages waiting for
// a client before it is dropped as too slow, and deadlines for pings and pongs.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run server.go [port]    (Debian: golang-go golang-github-gorilla-websocket-dev)
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const (
	readLimit  = 512 * 1024
	sendBuffer = 256
)

var (
	writeWait = 10 * time.Second
	// A client that has not answered a ping for this long is gone.
	pongWait   = 60 * time.Second
	pingPeriod = milliseconds("PING", 54_000)
	// Handshakes that are still refused after a restart, as by a server that is not up again.
	refuse = int64(milliseconds("REFUSE", 0) / time.Millisecond)

	// New with each life of the process: a client sees by it that there was a restart.
	instance = random()

	dropped, pongs, polls int64
)

type frame struct {
	Type    string      `json:"type"`
	Payload interface{} `json:"payload"`
}

type tick struct {
	N   int    `json:"n"`
	Pad string `json:"pad,omitempty"`
}

// client is one connection: `read` and `write` are its two goroutines, `send` the messages that wait for it.
type client struct {
	hub  *hub
	conn *websocket.Conn
	send chan []byte
}

// hub owns the clients and the numbers; everything reaches it through its channels.
type hub struct {
	join, leave chan *client
	tell        chan told
	flood       chan flood
	close       chan struct{}
	count       chan chan int
}

type told struct {
	client *client
	bytes  []byte
}

type flood struct{ Count, Size int }

func (h *hub) run() {
	clients := map[*client]bool{}
	n := 0
	// A channel that is full means a client that does not keep up.
	push := func(c *client, bytes []byte) {
		if !clients[c] {
			return
		}
		select {
		case c.send <- bytes:
		default:
			atomic.AddInt64(&dropped, 1)
			delete(clients, c)
			close(c.send)
		}
	}
	for {
		select {
		case c := <-h.join:
			clients[c] = true
		case c := <-h.leave:
			if clients[c] {
				delete(clients, c)
				close(c.send)
			}
		case t := <-h.tell:
			push(t.client, t.bytes)
		case f := <-h.flood:
			pad := strings.Repeat("x", f.Size)
			for ; f.Count > 0; f.Count-- {
				n++
				bytes := encoded("tick", tick{n, pad})
				for c := range clients {
					push(c, bytes)
				}
			}
		case <-h.close:
			goodbye := websocket.FormatCloseMessage(websocket.CloseServiceRestart, "service restart")
			for c := range clients {
				c.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
			}
		case answer := <-h.count:
			answer <- len(clients)
		}
	}
}

func (h *hub) size() int {
	answer := make(chan int)
	h.count <- answer
	return <-answer
}

func (c *client) read() {
	defer func() {
		c.hub.leave <- c
		c.conn.Close()
	}()
	c.conn.SetReadLimit(readLimit)
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error {
		atomic.AddInt64(&pongs, 1)
		return c.conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		var message struct {
			Type    string
			Payload json.RawMessage
		}
		if err := c.conn.ReadJSON(&message); err != nil {
			return
		}
		switch message.Type {
		case "hello":
			welcome := map[string]interface{}{"instance": instance, "heard": message.Payload}
			c.hub.tell <- told{c, encoded("welcome", welcome)}
		case "flood":
			var f flood
			if json.Unmarshal(message.Payload, &f) == nil {
				c.hub.flood <- f
			}
		case "restart":
			go restart(c.hub)
		}
	}
}

func (c *client) write() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		c.conn.Close()
	}()
	for {
		select {
		case bytes, ok := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				c.conn.WriteMessage(websocket.CloseMessage, []byte{})
				return
			}
			if c.conn.WriteMessage(websocket.TextMessage, bytes) != nil {
				return
			}
		case <-ticker.C:
			if c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				return
			}
		}
	}
}

var listener *net.TCPListener

// restart says goodbye, and begins anew as another process that has inherited nothing but the port.
func restart(h *hub) {
	h.close <- struct{}{}
	for wait := 0; h.size() > 0 && wait < 200; wait++ {
		time.Sleep(5 * time.Millisecond)
	}
	file, err := listener.File()
	if err != nil {
		log.Fatal(err)
	}
	// Its descriptor survives `exec`; everything else is closed by it.
	descriptor, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_DUPFD, 3)
	if errno != 0 {
		log.Fatal(errno)
	}
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	environment := append(os.Environ(), fmt.Sprint("LISTENER=", descriptor), "REFUSE=3")
	log.Fatal(syscall.Exec(program, os.Args, environment))
}

func listen() *net.TCPListener {
	var found net.Listener
	var err error
	if descriptor, bad := strconv.Atoi(os.Getenv("LISTENER")); bad == nil {
		file := os.NewFile(uintptr(descriptor), "listener")
		found, err = net.FileListener(file)
		file.Close()
	} else {
		port := "8790"
		if len(os.Args) > 1 {
			port = os.Args[1]
		}
		found, err = net.Listen("tcp", "127.0.0.1:"+port)
	}
	if err != nil {
		log.Fatal(err)
	}
	return found.(*net.TCPListener)
}

// Gorilla takes no page of another origin unless told so, and an extension's origin is never the server's.
func isWelcome(request *http.Request) bool {
	origin := request.Header.Get("Origin")
	return origin == "" || strings.HasPrefix(origin, "chrome-extension://") || strings.HasPrefix(origin, "moz-extension://")
}

func main() {
	h := &hub{
		join: make(chan *client), leave: make(chan *client), tell: make(chan told),
		flood: make(chan flood), close: make(chan struct{}), count: make(chan chan int),
	}
	go h.run()
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: isWelcome}
	http.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if atomic.AddInt64(&refuse, -1) >= 0 {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{h, conn, make(chan []byte, sendBuffer)}
		h.join <- c
		go c.write()
		go c.read()
	})
	// What was polled before there was a push.
	http.HandleFunc("/api/ticks", func(w http.ResponseWriter, r *http.Request) {
		atomic.AddInt64(&polls, 1)
		fmt.Fprintln(w, "[]")
	})
	http.HandleFunc("/api/stats", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]interface{}{
			"instance": instance, "clients": h.size(), "dropped": atomic.LoadInt64(&dropped),
			"pongs": atomic.LoadInt64(&pongs), "polls": atomic.LoadInt64(&polls),
		})
	})
	listener = listen()
	if os.Getenv("END_WITH_STDIN") != "" {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}

func encoded(kind string, payload interface{}) []byte {
	bytes, err := json.Marshal(frame{kind, payload})
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

func milliseconds(name string, otherwise int) time.Duration {
	if given, err := strconv.Atoi(os.Getenv(name)); err == nil {
		otherwise = given
	}
	return time.Duration(otherwise) * time.Millisecond
}

func random() string {
	bytes := make([]byte, 8)
	rand.Read(bytes)
	return hex.EncodeToString(bytes)
}
