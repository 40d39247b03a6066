/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/ble_sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pairing/sim_radio.h"
#include "proto/log.h"
#include "system/clock.h"

#define WATCH_MS        45 /* with the 40 ms of air_files.h a change counts within 100 ms */
#define STEP_MS         1000
#define HEARERS_MAX     256 /* *.air files that one advertisement is sent to */
#define DATAGRAMS_A_GO  32
#define ACCEPTS_A_GO    32
#define FIRST_CHANNEL   37
#define ADVERT_CHANNELS 3

static const struct sh_ble_driver driver;

bool sh_sim_in_range(const struct sh_sim_radio *radio, const char *peer)
{
    struct sh_position here, there;
    sh_air_files_places(radio->files, radio->name, peer, &here, &there);
    return sh_air_metres(here, there) <= SH_AIR_RANGE_M;
}

/* ---- memory ---- */

static void radio_release(struct sh_sim_radio *radio)
{
    struct event *events[] = {radio->listening, radio->hearing, radio->watch, radio->advert};
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (events[i])
            event_free(events[i]);
    }
    while (radio->streams) {
        struct sh_sim_stream *stream = radio->streams;
        radio->streams = stream->next;
        sh_sim_stream_free(stream);
    }
    sh_sim_unbind(radio->dir, radio->name, radio->bound);
    sh_closep(&radio->dir);
    free(radio);
}

void sh_sim_enter(struct sh_sim_radio *radio)
{
    radio->depth++;
}

void sh_sim_leave(struct sh_sim_radio *radio)
{
    if (--radio->depth > 0)
        return;
    if (radio->freed) {
        radio_release(radio);
        return;
    }
    for (struct sh_sim_stream **place = &radio->streams; *place;) {
        struct sh_sim_stream *stream = *place;
        if (stream->state != SH_SIM_GONE) {
            place = &stream->next;
            continue;
        }
        *place = stream->next;
        sh_sim_stream_free(stream);
    }
}

/* ---- taking connections ---- */

bool sh_sim_radio_takes(const struct sh_sim_radio *radio, const struct sh_sim_greeting *greeting)
{
    struct sh_advert advert;
    struct sh_bytes payload = SH_BYTES(radio->payload, radio->payload_len);
    if (!radio->advertising || !sh_sim_in_range(radio, greeting->name))
        return false;
    if (sh_advert_decode(payload, &advert) == SH_OK && advert.psm != greeting->psm)
        return false;
    size_t up = 0;
    for (const struct sh_sim_stream *s = radio->streams; s; s = s->next)
        up += s->incoming && s->state == SH_SIM_UP;
    return up < SH_BLE_STREAMS;
}

/* Callers that have not greeted yet do not count as streams, so they cannot keep others out: of
 * more than SH_BLE_STREAMS of them the oldest is dropped. */
static void bound_silent(struct sh_sim_radio *radio)
{
    struct sh_sim_stream *oldest = NULL;
    size_t silent = 0;
    for (struct sh_sim_stream *s = radio->streams; s; s = s->next) {
        if (s->incoming && s->state == SH_SIM_GREETING) {
            silent++;
            oldest = s; /* the list has the newest first */
        }
    }
    if (silent > SH_BLE_STREAMS)
        sh_sim_stream_drop(oldest);
}

static void on_listening(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct sh_sim_radio *radio = user;
    sh_sim_enter(radio);
    for (unsigned i = 0; i < ACCEPTS_A_GO; i++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            /* Out of descriptors or memory: it stays readable, so look again at the next watch
             * only. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                event_del(radio->listening);
            break;
        }
        if (!radio->advertising) {
            close(accepted);
            continue;
        }
        if (sh_sim_stream_accept(radio, accepted) != SH_OK)
            sh_log("sim: no memory for a connection");
        bound_silent(radio);
    }
    sh_sim_leave(radio);
}

/* ---- advertising and hearing ---- */

static uint64_t hash_text(uint64_t state, const char *text)
{
    for (const char *c = text; *c; c++)
        state = sh_air_hash(state, (uint8_t)*c);
    return state;
}

/* The name of the device whose NAME.air this is. */
static bool device_of(const char *file, char out[SH_SIM_NAME_MAX + 1])
{
    static const char suffix[] = ".air";
    size_t n = strlen(file);
    if (n <= strlen(suffix) || n - strlen(suffix) > SH_SIM_NAME_MAX)
        return false;
    n -= strlen(suffix);
    if (strcmp(file + n, suffix) != 0 || !sh_sim_name_ok(file, n))
        return false;
    memcpy(out, file, n);
    out[n] = '\0';
    return true;
}

/* Sends to every device of the folder but this one. */
static void send_to_all(struct sh_sim_radio *radio, struct sh_bytes datagram, uint64_t number,
                        double drop)
{
    int fd = openat(radio->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        sh_closep(&fd);
        return;
    }
    unsigned hearers = 0;
    for (struct dirent *entry = readdir(folder); entry && hearers < HEARERS_MAX;
         entry = readdir(folder)) {
        char name[SH_SIM_NAME_MAX + 1];
        if (!device_of(entry->d_name, name) || strcmp(name, radio->name) == 0)
            continue;
        hearers++;
        /* Drawn by name and number, since the order of a folder is not the same in each run. */
        uint64_t draw = sh_air_hash(hash_text(radio->chance, name), number);
        if (sh_sim_chance(&draw, drop))
            continue;
        struct sockaddr_un address;
        socklen_t length = sh_sim_address(radio->dir, name, SH_SIM_AIR, &address);
        /* Who is gone or does not listen misses it, as on the air. */
        ssize_t sent =
            sendto(radio->bound[SH_SIM_AIR].fd, datagram.p, datagram.n, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&address, length);
        (void)sent;
    }
    closedir(folder);
}

static void arm_ms(struct event *event, unsigned ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    evtimer_add(event, &tv);
}

static void on_advert(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_sim_radio *radio = user;
    sh_air_files_refresh(radio->files, sh_now());
    arm_ms(radio->advert, sh_air_files_air(radio->files)->interval_ms);
    struct sh_fault fault = sh_air_files_fault(radio->files, SH_FAULT_ADVERT);
    uint64_t number = radio->advert_number++;
    if (fault.cut || fault.blackhole)
        return;
    struct sh_sim_advert advert = {
        .channel = FIRST_CHANNEL + (unsigned)(number % ADVERT_CHANNELS),
        .number = number,
        .power_db = radio->power_db,
        .payload = SH_BYTES(radio->payload, radio->payload_len),
    };
    memcpy(advert.name, radio->name, sizeof(advert.name));
    uint8_t datagram[SH_SIM_ADVERT_MAX];
    size_t n = sh_sim_advert_write(&advert, datagram);
    send_to_all(radio, SH_BYTES(datagram, n), number, fault.drop);
}

static void hear(struct sh_sim_radio *radio, struct sh_bytes datagram)
{
    struct sh_sim_advert advert;
    if (!sh_sim_advert_read(datagram, &advert) || strcmp(advert.name, radio->name) == 0 ||
        !sh_sim_in_range(radio, advert.name) || !radio->ble.ops->heard)
        return;
    struct sh_position here, there;
    sh_air_files_places(radio->files, radio->name, advert.name, &here, &there);
    struct sh_ble_heard heard = {
        .payload = advert.payload,
        .rssi_dbm = sh_air_rssi(sh_air_files_air(radio->files), there, here, advert.channel,
                                advert.number) +
                    advert.power_db,
    };
    _Static_assert(sizeof(heard.address) >= sizeof(advert.name), "a name is an address");
    memcpy(heard.address, advert.name, sizeof(advert.name));
    radio->ble.ops->heard(&heard, radio->ble.user);
}

static void on_hearing(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct sh_sim_radio *radio = user;
    uint8_t datagram[SH_SIM_ADVERT_MAX + 1]; /* one more, so that a longer one is seen as such */
    sh_sim_enter(radio);
    for (unsigned i = 0; i < DATAGRAMS_A_GO && !radio->freed; i++) {
        ssize_t n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
        if (n < 0)
            break;
        if (event_pending(radio->hearing, EV_READ, NULL))
            hear(radio, SH_BYTES(datagram, (size_t)n));
    }
    sh_sim_leave(radio);
}

static void on_watch(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_sim_radio *radio = user;
    sh_ms now = sh_now();
    sh_sim_enter(radio);
    sh_air_files_refresh(radio->files, now);
    if (!event_pending(radio->listening, EV_READ, NULL))
        event_add(radio->listening, NULL);
    for (struct sh_sim_stream *s = radio->streams; s && !radio->freed; s = s->next)
        sh_sim_stream_watch(s, now);
    sh_sim_leave(radio);
}

/* ---- the driver ---- */

static struct sh_sim_radio *of(struct sh_ble *ble)
{
    return (struct sh_sim_radio *)ble; /* its first member */
}

static enum sh_cause sim_advertise(struct sh_ble *ble, struct sh_bytes payload, int power_db)
{
    struct sh_sim_radio *radio = of(ble);
    if (payload.n > sizeof(radio->payload))
        return sh_fail(SH_INTERNAL_BUG, "an advertisement of %zu octets", payload.n);
    if (payload.n > 0)
        memcpy(radio->payload, payload.p, payload.n);
    radio->payload_len = payload.n;
    radio->power_db = SH_MAX(-SH_ADVERT_LOWER_MAX, SH_MIN(power_db, 0));
    if (!radio->advertising)
        arm_ms(radio->advert, sh_air_files_fault(radio->files, SH_FAULT_ADVERT).delay_ms);
    radio->advertising = true;
    return SH_OK;
}

static bool sim_can_lower(const struct sh_ble *ble SH_UNUSED)
{
    return true;
}

static void sim_advertise_stop(struct sh_ble *ble)
{
    struct sh_sim_radio *radio = of(ble);
    radio->advertising = false;
    event_del(radio->advert);
}

static enum sh_cause sim_scan(struct sh_ble *ble, bool on)
{
    struct sh_sim_radio *radio = of(ble);
    if (!on) {
        event_del(radio->hearing);
        return SH_OK;
    }
    if (event_pending(radio->hearing, EV_READ, NULL))
        return SH_OK;
    /* What came while nobody scanned was not heard. */
    uint8_t octet;
    for (unsigned i = 0; i < 4096; i++) {
        if (recv(radio->bound[SH_SIM_AIR].fd, &octet, 1, MSG_DONTWAIT) < 0)
            break;
    }
    return event_add(radio->hearing, NULL) == 0 ? SH_OK : SH_ENV_NO_MEMORY;
}

/* A connection of the air is a stream: there is nothing else to end. */
static enum sh_cause sim_connect(struct sh_ble *ble, const char *address, uint8_t psm,
                                 bool anew SH_UNUSED)
{
    struct sh_sim_radio *radio = of(ble);
    if (!sh_sim_name_ok(address, strlen(address)) || strcmp(address, radio->name) == 0)
        return sh_fail(SH_CONNECT_FAILED, "no such device");
    for (struct sh_sim_stream *s = radio->streams; s; s = s->next) {
        if (!s->incoming && s->state < SH_SIM_UP)
            sh_sim_stream_drop(s);
    }
    sh_air_files_refresh(radio->files, sh_now());
    return sh_sim_stream_call(radio, address, psm);
}

static void sim_sample(struct sh_ble *ble SH_UNUSED, struct sh_stream *stream, bool on)
{
    sh_sim_stream_sample((struct sh_sim_stream *)stream, on);
}

static bool sim_busy(const struct sh_ble *ble)
{
    return ((const struct sh_sim_radio *)ble)->streams != NULL;
}

static void sim_free(struct sh_ble *ble)
{
    struct sh_sim_radio *radio = of(ble);
    sh_sim_enter(radio);
    radio->freed = true;
    radio->advertising = false;
    struct event *events[] = {radio->listening, radio->hearing, radio->watch, radio->advert};
    for (size_t i = 0; i < SH_COUNT(events); i++)
        event_del(events[i]);
    for (struct sh_sim_stream *s = radio->streams; s; s = s->next) {
        sh_sim_stream_flush(s);
        sh_sim_stream_drop(s);
    }
    sh_sim_unbind(radio->dir, radio->name, radio->bound);
    sh_sim_leave(radio);
}

static const struct sh_ble_driver driver = {
    .name = "sim",
    .advertise = sim_advertise,
    .can_lower = sim_can_lower,
    .step_ms = STEP_MS,
    .advertise_stop = sim_advertise_stop,
    .scan = sim_scan,
    .connect = sim_connect,
    .sample = sim_sample,
    .busy = sim_busy,
    .free = sim_free,
};

static bool make_events(struct sh_sim_radio *radio)
{
    struct event_base *base = radio->base;
    const struct timeval watch = {.tv_usec = WATCH_MS * 1000};
    radio->listening =
        event_new(base, radio->bound[SH_SIM_L2CAP].fd, EV_READ | EV_PERSIST, on_listening, radio);
    radio->hearing =
        event_new(base, radio->bound[SH_SIM_AIR].fd, EV_READ | EV_PERSIST, on_hearing, radio);
    radio->watch = event_new(base, -1, EV_PERSIST, on_watch, radio);
    radio->advert = evtimer_new(base, on_advert, radio);
    return radio->listening && radio->hearing && radio->watch && radio->advert &&
           event_add(radio->listening, NULL) == 0 && event_add(radio->watch, &watch) == 0;
}

enum sh_cause sh_ble_sim_new(struct event_base *base, struct sh_air_files *files, const char *dir,
                             const char *name, const struct sh_ble_ops *ops, void *user,
                             struct sh_ble **ret_ble)
{
    if (!sh_sim_name_ok(name, strlen(name)))
        return sh_fail(SH_USAGE_BAD_OPTION,
                       "a name on the simulated air is 1 to %d letters, digits, - _ or .",
                       SH_SIM_NAME_MAX);
    struct sh_sim_radio *radio = calloc(1, sizeof(*radio));
    if (!radio)
        return SH_ENV_NO_MEMORY;
    radio->ble = (struct sh_ble){.driver = &driver, .ops = ops, .user = user};
    radio->base = base;
    radio->files = files;
    radio->bound[SH_SIM_AIR].fd = radio->bound[SH_SIM_L2CAP].fd = -1;
    memcpy(radio->name, name, strlen(name));
    radio->chance = hash_text(sh_air_files_air(files)->seed, name);
    enum sh_cause cause = SH_OK;
    radio->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (radio->dir < 0)
        cause = sh_fail(SH_ENV_NO_RADIO, "%s: %s", dir, strerror(errno));
    if (cause == SH_OK)
        cause = sh_sim_bind(radio->dir, name, radio->bound);
    if (cause == SH_OK && !make_events(radio))
        cause = SH_ENV_NO_MEMORY;
    if (cause != SH_OK) {
        radio_release(radio);
        return cause;
    }
    *ret_ble = &radio->ble;
    return SH_OK;
}
