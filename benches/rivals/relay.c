/* The floor for one process: reads WebSocket frames, writes them into native frames of up to 64 KB, and does nothing
 * that could be left out: no log, no acknowledgement, no second connection, no limits, no UTF-8 check. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 1 << 18, BATCH = 1 << 16 };

static unsigned char in[READ + (1 << 21)], pipe_in[1 << 21], out[(1 << 22)];
static size_t in_len, pipe_len, out_len;
static uint64_t seq;
static int sock = -1;

static void all(int fd, const void *data, size_t len) {
  const char *at = data;
  while (len > 0) {
    ssize_t n = write(fd, at, len);
    if (n <= 0) exit(0);
    at += n;
    len -= (size_t)n;
  }
}

static void say(const char *json) {
  uint32_t len = (uint32_t)strlen(json);
  all(1, &len, 4);
  all(1, json, len);
}

static void dial(const char *url) {
  char host[64], path[256], request[600];
  int port;
  if (sscanf(url, "ws://%63[^:]:%d%255[^\"]", host, &port, path) != 3) exit(1);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  sock = socket(AF_INET, SOCK_STREAM, 0);
  int yes = 1;
  setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(sock, (struct sockaddr *)&to, sizeof to)) exit(1);
  int n = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                   path, host, port);
  all(sock, request, (size_t)n);
  char answer[4096];
  size_t have = 0;
  while (have < 4 || memcmp(answer + have - 4, "\r\n\r\n", 4)) {
    if (have == sizeof answer || read(sock, answer + have, 1) != 1) exit(1);
    have++;
  }
}

static void flush(void) {
  if (out_len == 0) return;
  out[out_len++] = ']';
  out[out_len++] = '}';
  uint32_t len = (uint32_t)out_len - 4;
  memcpy(out, &len, 4);
  all(1, out, out_len);
  out_len = 0;
}

static void message(const unsigned char *text, size_t len) {
  static const char head[] = "{\"type\":\"batch\",\"frames\":[";
  if (out_len == 0) {
    memcpy(out + 4, head, sizeof head - 1);
    out_len = 4 + sizeof head - 1;
  } else {
    out[out_len++] = ',';
  }
  out_len += (size_t)sprintf((char *)out + out_len, "{\"type\":\"message\",\"session\":\"s\",\"seq\":%llu,\"text\":\"",
                             (unsigned long long)++seq);
  for (size_t i = 0; i < len;) {
    size_t run = i;
    while (run < len && text[run] >= 0x20 && text[run] != '"' && text[run] != '\\') run++;
    memcpy(out + out_len, text + i, run - i);
    out_len += run - i;
    if (run < len) out_len += (size_t)sprintf((char *)out + out_len, "\\u%04x", text[run++]);
    i = run;
  }
  static const char tail[] = "\",\"time\":1700000000000}";
  memcpy(out + out_len, tail, sizeof tail - 1);
  out_len += sizeof tail - 1;
  if (out_len >= BATCH) flush();
}

static void from_server(void) {
  ssize_t n = read(sock, in + in_len, READ);
  if (n <= 0) exit(0);
  in_len += (size_t)n;
  size_t at = 0;
  for (;;) {
    size_t left = in_len - at, head = 2;
    if (left < 2) break;
    uint64_t len = in[at + 1] & 0x7f;
    if (len == 126) {
      if (left < 4) break;
      len = (uint64_t)in[at + 2] << 8 | in[at + 3];
      head = 4;
    } else if (len == 127) {
      if (left < 10) break;
      len = 0;
      for (int i = 2; i < 10; i++) len = len << 8 | in[at + i];
      head = 10;
    }
    if (left < head + len) break;
    message(in + at + head, len);
    at += head + len;
  }
  memmove(in, in + at, in_len - at);
  in_len -= at;
  flush();
}

static void from_browser(void) {
  ssize_t n = read(0, pipe_in + pipe_len, sizeof pipe_in - pipe_len - 1);
  if (n <= 0) exit(0);
  pipe_len += (size_t)n;
  uint32_t len;
  while (pipe_len >= 4 && (memcpy(&len, pipe_in, 4), pipe_len >= 4 + (size_t)len)) {
    char *json = (char *)pipe_in + 4;
    char kept = json[len];
    json[len] = 0;
    char *url = strstr(json, "\"url\":\"");
    if (strstr(json, "\"type\":\"hello\"")) say("{\"type\":\"welcome\"}");
    if (url) {
      dial(url + 7);
      say("{\"type\":\"opened\"}");
    }
    if (strstr(json, "\"type\":\"close\"")) say("{\"type\":\"ok\"}");
    json[len] = kept;
    memmove(pipe_in, pipe_in + 4 + len, pipe_len - 4 - len);
    pipe_len -= 4 + (size_t)len;
  }
}

int main(void) {
  for (;;) {
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
    if (poll(fds, sock < 0 ? 1 : 2, -1) < 0) return 1;
    if (fds[0].revents) from_browser();
    if (sock >= 0 && fds[1].revents) from_server();
  }
}
