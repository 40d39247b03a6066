/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The air between real kernels' virtual Bluetooth controllers:
 *   lab_air [-v] [--strict-duplicates] DIR SERVER NAME...
 *
 * For each NAME, in this order, the kernel gets a controller (/dev/vhci) that btvirt's dual-mode server socket SERVER
 * emulates. NAME stands where DIR/positions says; DIR/air and DIR/faults are those of the simulated air
 * (pairing/air_files.h): seed, exponent, tx1m, shadow, fade, sigma, interval, ble_rate; cut, blackhole and rate of ble; cut, blackhole
 * and drop of advert. DIR/noise may hold a number: that many advertisements a second come from nobody,
 * with simhop's UUID and garbage. DIR/unplugged may hold names: their adapters are pulled out, and are back as soon as their name
 * is not there any more. Prints "NAME hciN" for each and "ready".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <bluetooth/hci_lib.h>

#include "air_hci.h"
#include "pairing/air_files.h"
#include "proto/log.h"
#include "system/clock.h"

#define VENDOR_PACKET   0xff
#define OPEN_TRIES      100
#define OPEN_PAUSE_MS   20
#define ADVERT_CHANNELS 3
#define FIRST_CHANNEL   37
#define DATA_CHANNELS   37
#define HOP             7
#define LOOK_MS         100
#define SETTLE_MS       50
#define NOISE_MAX       5000
#define READY_LIMIT_S   20
#define TRACED          80
#define BUFFER          8192

struct device {
    const char *name;
    int host, controller;
    uint16_t index; /* of hciN */
    bool up;
    size_t n; /* of what came from the controller and is no whole packet yet */
    uint8_t buffer[BUFFER];
};

static struct device devices[AIR_HCI_CONTROLLERS];
static unsigned count;
static struct sh_air_files *files;
static struct air_hci *air;
static int wishes = -1;
static bool strict_duplicates, verbose;

static void pause_ms(unsigned ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

/* With -v each packet as it passes, but data, what acknowledges it, and advertising reports. */
static void trace(const char *way, unsigned c, struct sh_bytes packet)
{
    char hex[2 * TRACED + 1] = "";
    if (!verbose || packet.n < 4 || packet.p[0] == 2 || (packet.p[0] == 4 && packet.p[1] == 0x13) ||
        (packet.p[0] == 4 && packet.p[1] == 0x3e && packet.p[3] == 2))
        return;
    sh_hex(packet.p, SH_MIN(packet.n, (size_t)TRACED), hex);
    fprintf(stderr, "%llu %s %s %s\n", (unsigned long long)sh_now(), devices[c].name, way, hex);
}

/* ---- what the engine asks for ---- */

static void to_host(unsigned c, struct sh_bytes packet, void *user SH_UNUSED)
{
    trace("to host", c, packet);
    /* Refused while the adapter is down: then nobody hears it, as on a real one. */
    ssize_t n = write(devices[c].host, packet.p, packet.n);
    (void)n;
}

static void to_controller(unsigned c, struct sh_bytes packet, void *user SH_UNUSED)
{
    trace("to controller", c, packet);
    int error = sh_write_all(devices[c].controller, packet.p, packet.n);
    if (error != 0) {
        fprintf(stderr, "lab_air: the emulation: %s\n", strerror(error));
        exit(1);
    }
}

static bool in_range(unsigned a, unsigned b, void *user SH_UNUSED)
{
    struct sh_position at_a;
    struct sh_position at_b;
    if (devices[a].host < 0 || devices[b].host < 0)
        return false;
    sh_air_files_places(files, devices[a].name, devices[b].name, &at_a, &at_b);
    return sh_air_metres(at_a, at_b) <= SH_AIR_RANGE_M;
}

static int level(unsigned from, unsigned to, unsigned channel, uint64_t n)
{
    struct sh_position there;
    struct sh_position here;
    sh_air_files_places(files, devices[from].name, devices[to].name, &there, &here);
    return sh_air_rssi(sh_air_files_air(files), there, here, channel, n);
}

static int advert_dbm(unsigned from, unsigned to, uint64_t n, void *user SH_UNUSED)
{
    return level(from, to, FIRST_CHANNEL + (unsigned)(n % ADVERT_CHANNELS), n);
}

static int link_dbm(unsigned from, unsigned to, uint64_t n, bool incoming, void *user SH_UNUSED)
{
    return level(from, to, (unsigned)(n * HOP % DATA_CHANNELS), n << 1 | incoming);
}

static const struct air_hci_ops ops = {
    .to_host = to_host,
    .to_controller = to_controller,
    .in_range = in_range,
    .advert_dbm = advert_dbm,
    .link_dbm = link_dbm,
};

/* ---- opening ---- */

/* drivers/bluetooth/hci_vhci.c: the request and its answer {0xff, opcode, index}, before or after which the kernel's first command
 * may come. */
static bool open_host(unsigned c)
{
    const uint8_t request[] = {VENDOR_PACKET, 0x00};
    struct device *device = &devices[c];
    device->host = open("/dev/vhci", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->host < 0 || write(device->host, request, sizeof(request)) < 0) {
        fprintf(stderr, "lab_air: /dev/vhci: %s\n", strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        uint8_t packet[AIR_HCI_PACKET_MAX];
        ssize_t n = read(device->host, packet, sizeof(packet));
        if (n >= 4 && packet[0] == VENDOR_PACKET) {
            device->index = (uint16_t)(packet[2] | packet[3] << 8);
            printf("%s hci%u\n", device->name, device->index);
            return true;
        }
        if (n > 0)
            air_hci_from_host(air, c, SH_BYTES(packet, n), sh_now());
        else
            pause_ms(OPEN_PAUSE_MS);
    }
    fprintf(stderr, "lab_air: /dev/vhci gave no adapter\n");
    return false;
}

/* A new controller takes seconds until it answers for the first time, longer than the kernel waits. */
static bool wait_for_controller(int fd)
{
    const uint8_t reset[] = {1, 0x03, 0x0c, 0};
    uint8_t reply[7];
    const struct timeval limit = {.tv_sec = READY_LIMIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (sh_write_all(fd, reset, sizeof(reset)) == 0 &&
        recv(fd, reply, sizeof(reply), MSG_WAITALL) == (ssize_t)sizeof(reply))
        return true;
    fprintf(stderr, "lab_air: the emulation does not answer\n");
    return false;
}

static bool open_controller(struct device *device, const char *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!sh_strcopy(address.sun_path, sizeof(address.sun_path), server))
        return false;
    device->controller = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        if (connect(device->controller, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return wait_for_controller(device->controller);
        pause_ms(OPEN_PAUSE_MS);
    }
    fprintf(stderr, "lab_air: %s: %s\n", server, strerror(errno));
    return false;
}

/* ---- the pump ---- */

/* What the file of this name holds, "" if nothing. */
static void read_wish(const char *name, char *text, size_t size)
{
    sh_autoclose int fd = openat(wishes, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[SH_MAX(n, (ssize_t)0)] = '\0';
}

/* Without its file the kernel's driver is as a stick that was pulled out. */
static void plug(void)
{
    char text[128];
    bool out[AIR_HCI_CONTROLLERS] = {false};
    char *rest = NULL;
    read_wish("unplugged", text, sizeof(text));
    for (char *name = strtok_r(text, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest)) {
        for (unsigned c = 0; c < count; c++)
            out[c] |= strcmp(name, devices[c].name) == 0;
    }
    for (unsigned c = 0; c < count; c++) {
        if (out[c] && devices[c].host >= 0) {
            close(devices[c].host);
            devices[c].host = -1;
        } else if (!out[c] && devices[c].host < 0 && !open_host(c)) {
            exit(1);
        }
    }
}

/* The switch of an adapter takes its power away, in most machines; the kernel closes it without a word to the controller. */
static void power(void)
{
    static int kernel = -1;
    if (kernel < 0)
        kernel = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, BTPROTO_HCI);
    for (unsigned c = 0; c < count; c++) {
        struct hci_dev_info info = {.dev_id = devices[c].index};
        bool up = devices[c].host >= 0 && ioctl(kernel, HCIGETDEVINFO, &info) == 0 &&
                  hci_test_bit(HCI_UP, &info.flags);
        if (devices[c].up && !up)
            air_hci_off(air, c);
        devices[c].up = up;
    }
}

static unsigned read_noise(void)
{
    char text[16];
    read_wish("noise", text, sizeof(text));
    unsigned long n = strtoul(text, NULL, 10);
    return (unsigned)SH_MIN(n, NOISE_MAX);
}

static void settle(sh_ms now)
{
    static sh_ms settled;
    if (now - settled < SETTLE_MS)
        return;
    settled = now;
    power();
    sh_air_files_refresh(files, now);
    const struct sh_air *model = sh_air_files_air(files);
    struct sh_fault ble = sh_air_files_fault(files, SH_FAULT_BLE);
    struct sh_fault advert = sh_air_files_fault(files, SH_FAULT_ADVERT);
    struct air_hci_settings settings = {
        .interval_ms = model->interval_ms,
        .rate = ble.rate ? ble.rate : model->ble_rate,
        .drop = advert.drop,
        .mute = advert.cut || advert.blackhole,
        .hold = ble.blackhole,
        .cut = ble.cut,
        .strict_duplicates = strict_duplicates,
        .noise = read_noise(),
    };
    air_hci_set(air, &settings);
}

static void from_host(unsigned c)
{
    uint8_t packet[AIR_HCI_PACKET_MAX];
    ssize_t n = 0;
    while ((n = read(devices[c].host, packet, sizeof(packet))) > 0)
        air_hci_from_host(air, c, SH_BYTES(packet, n), sh_now());
}

static void from_controller(unsigned c)
{
    struct device *device = &devices[c];
    ssize_t got = recv(device->controller, device->buffer + device->n, BUFFER - device->n, 0);
    if (got <= 0) {
        fprintf(stderr, "lab_air: the emulation has ended\n");
        exit(1);
    }
    device->n += (size_t)got;
    size_t at = 0;
    for (;;) {
        size_t size = air_hci_packet_size(SH_BYTES(device->buffer + at, device->n - at));
        if (size == SIZE_MAX) {
            fprintf(stderr, "lab_air: the emulation sent what is no packet\n");
            exit(1);
        }
        if (size == 0 || size > device->n - at)
            break;
        air_hci_from_controller(air, c, SH_BYTES(device->buffer + at, size), sh_now());
        at += size;
    }
    memmove(device->buffer, device->buffer + at, device->n - at);
    device->n -= at;
}

static void pump(void)
{
    struct pollfd fds[2 * AIR_HCI_CONTROLLERS];
    for (;;) {
        plug();
        sh_ms now = sh_now();
        settle(now);
        sh_ms due = air_hci_tick(air, now);
        sh_ms wait = due <= now ? 0 : SH_MIN(due - now, (sh_ms)LOOK_MS);
        for (unsigned i = 0; i < count; i++) {
            fds[2 * i] = (struct pollfd){.fd = devices[i].host, .events = POLLIN};
            fds[2 * i + 1] = (struct pollfd){.fd = devices[i].controller, .events = POLLIN};
        }
        if (poll(fds, 2 * count, (int)wait) < 0 && errno != EINTR)
            exit(1);
        for (unsigned i = 0; i < count; i++) {
            if (fds[2 * i].revents)
                from_host(i);
            if (fds[2 * i + 1].revents)
                from_controller(i);
        }
    }
}

static void log_line(const char *line, void *user SH_UNUSED)
{
    fprintf(stderr, "lab_air: %s\n", line);
}

int main(int argc, char **argv)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        strict_duplicates |= strcmp(argv[at], "--strict-duplicates") == 0;
        verbose |= strcmp(argv[at], "-v") == 0;
    }
    if (argc - at < 3 || argc - at - 2 > AIR_HCI_CONTROLLERS) {
        fprintf(stderr, "usage: lab_air [-v] [--strict-duplicates] DIR SERVER NAME...\n");
        return 2;
    }
    sh_log_set(log_line, NULL);
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    wishes = open(argv[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (wishes < 0 || sh_air_files_open(argv[at], &files) != SH_OK) {
        fprintf(stderr, "lab_air: %s: no such folder\n", argv[at]);
        return 1;
    }
    count = (unsigned)(argc - at - 2);
    air = air_hci_new(count, &ops, NULL);
    if (!air)
        return 1;
    for (unsigned c = 0; c < count; c++) {
        devices[c].name = argv[at + 2 + (int)c];
        if (!open_controller(&devices[c], argv[at + 1]) || !open_host(c))
            return 1;
    }
    printf("ready\n");
    fflush(stdout);
    pump();
}
