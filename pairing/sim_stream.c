/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pairing/sim_radio.h"
#include "proto/log.h"
#include "system/clock.h"

#define CONNECT_MS    5000
#define GREETING_MS   2000
#define CLOSE_MS      1000
#define RETRY_MS      20   /* the listener's queue is full */
#define FAR_MS        2000 /* a link that is out of range for so long is lost */
#define WIRE_MAX      (256 * 1024)
#define CHUNKS_A_TURN 64
#define SNDBUF        16384
#define DATA_CHANNELS 37
#define HOP           7

struct sh_sim_wire {
    struct sh_sim_wire *next;
    sh_ms due;
    size_t n;
    uint8_t bytes[];
};

static const struct sh_stream_driver driver;
static void on_readable(evutil_socket_t fd, short what, void *user);
static void on_pump(evutil_socket_t fd, short what, void *user);
static void on_sample(evutil_socket_t fd, short what, void *user);

static struct sh_sim_stream *of(struct sh_stream *stream)
{
    return (struct sh_sim_stream *)stream; /* its first member */
}

static void arm(struct event *event, uint64_t ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
                               .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(event, &tv);
}

static void pump_soon(struct sh_sim_stream *stream)
{
    event_active(stream->pump, EV_TIMEOUT, 0);
}

/* ---- making and ending ---- */

static struct sh_sim_stream *stream_new(struct sh_sim_radio *radio)
{
    struct sh_sim_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->stream.driver = &driver;
    stream->radio = radio;
    stream->fd = -1;
    stream->wire_end = &stream->wire;
    stream->pump = evtimer_new(radio->base, on_pump, stream);
    stream->sample = evtimer_new(radio->base, on_sample, stream);
    uint64_t chance = sh_air_hash(radio->chance, ++radio->streams_made);
    if (!stream->pump || !stream->sample ||
        sh_sim_carrier_init(&stream->carrier, chance) != SH_OK) {
        sh_sim_stream_free(stream);
        return NULL;
    }
    return stream;
}

static void link_stream(struct sh_sim_stream *stream)
{
    stream->next = stream->radio->streams;
    stream->radio->streams = stream;
}

static void socket_close(struct sh_sim_stream *stream)
{
    struct event **events[] = {&stream->readable, &stream->sendable};
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
    if (stream->pump)
        event_del(stream->pump);
    if (stream->sample)
        event_del(stream->sample);
    sh_closep(&stream->fd);
    stream->fd = -1;
}

void sh_sim_stream_free(struct sh_sim_stream *stream)
{
    socket_close(stream);
    while (stream->wire) {
        struct sh_sim_wire *wire = stream->wire;
        stream->wire = wire->next;
        free(wire);
    }
    if (stream->pump)
        event_free(stream->pump);
    if (stream->sample)
        event_free(stream->sample);
    sh_sim_carrier_clear(&stream->carrier);
    free(stream);
}

/* Events for a socket; the stream owns it from here on. */
static bool socket_set(struct sh_sim_stream *stream, int fd)
{
    const int size = SNDBUF;
    stream->fd = fd;
    /* Small, so that what is pending stays with us and can be seen. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0)
        sh_log("sim: SO_SNDBUF: %s", strerror(errno));
    struct event_base *base = stream->radio->base;
    stream->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, stream);
    stream->sendable = event_new(base, fd, EV_WRITE, on_pump, stream);
    return stream->readable && stream->sendable && event_add(stream->readable, NULL) == 0;
}

enum sh_cause sh_sim_stream_accept(struct sh_sim_radio *radio, int fd)
{
    struct sh_sim_stream *stream = stream_new(radio);
    if (!stream) {
        close(fd);
        return SH_ENV_NO_MEMORY;
    }
    stream->incoming = true;
    stream->state = SH_SIM_GREETING;
    stream->deadline = sh_now() + GREETING_MS;
    if (!socket_set(stream, fd)) {
        sh_sim_stream_free(stream);
        return SH_ENV_NO_MEMORY;
    }
    link_stream(stream);
    return SH_OK;
}

enum sh_cause sh_sim_stream_call(struct sh_sim_radio *radio, const char *peer, uint8_t psm)
{
    struct sh_sim_stream *stream = stream_new(radio);
    if (!stream)
        return SH_ENV_NO_MEMORY;
    if (!sh_strcopy(stream->peer, sizeof(stream->peer), peer)) {
        sh_sim_stream_free(stream);
        return sh_fail(SH_CONNECT_FAILED, "%s is no address", peer);
    }
    struct sh_fault fault = sh_air_files_fault(radio->files, SH_FAULT_CONNECT);
    sh_ms now = sh_now();
    stream->state = SH_SIM_CALLING;
    stream->psm = psm;
    stream->start_at = now + fault.delay_ms;
    stream->deadline = now + CONNECT_MS;
    link_stream(stream);
    pump_soon(stream);
    return SH_OK;
}

void sh_sim_stream_drop(struct sh_sim_stream *stream)
{
    socket_close(stream);
    stream->state = SH_SIM_GONE;
}

/* From a handler: the stream is over for this cause. */
static void end(struct sh_sim_stream *stream, enum sh_cause cause)
{
    struct sh_sim_radio *radio = stream->radio;
    enum sh_sim_state was = stream->state;
    socket_close(stream);
    stream->state = SH_SIM_GONE;
    if (was == SH_SIM_UP && !stream->closing) {
        stream->state = SH_SIM_OVER;
        if (stream->stream.ops && stream->stream.ops->closed)
            stream->stream.ops->closed(cause, stream->stream.user);
    } else if (was < SH_SIM_UP && !stream->incoming && !stream->closing) {
        if (radio->ble.ops->connect_failed)
            radio->ble.ops->connect_failed(cause, radio->ble.user);
    }
}

/* ---- what goes out ---- */

static bool wire_add(struct sh_sim_stream *stream, const struct sh_sim_chunk *chunk, sh_ms now)
{
    struct sh_sim_wire *wire = malloc(sizeof(*wire) + chunk->n);
    if (!wire)
        return false;
    *wire = (struct sh_sim_wire){.due = now + chunk->delay_ms, .n = chunk->n};
    memcpy(wire->bytes, chunk->bytes, chunk->n);
    *stream->wire_end = wire;
    stream->wire_end = &wire->next;
    stream->wire_bytes += chunk->n;
    return true;
}

/* Sends what is due, in order: nothing overtakes what is delayed longer. false when the socket takes no more for now, or at all (`broken`). */
static bool wire_send(struct sh_sim_stream *stream, sh_ms now)
{
    while (stream->wire && stream->wire->due <= now) {
        struct sh_sim_wire *wire = stream->wire;
        ssize_t n = send(stream->fd, wire->bytes, wire->n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            bool full = errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
            stream->broken = !full;
            return false;
        }
        stream->wire = wire->next;
        if (!stream->wire)
            stream->wire_end = &stream->wire;
        stream->wire_bytes -= wire->n;
        free(wire);
    }
    return true;
}

static size_t pending(const struct sh_sim_stream *stream)
{
    return evbuffer_get_length(stream->carrier.queue) + stream->wire_bytes;
}

/* Moves chunks from the queue over the wire into the socket until one of them says no; sets when to
 * go on. SH_OK, or why the stream ends. */
static enum sh_cause move(struct sh_sim_stream *stream, sh_ms now)
{
    const struct sh_air_files *files = stream->radio->files;
    struct sh_sim_chunk chunk;
    for (unsigned turn = 0; turn < CHUNKS_A_TURN; turn++) {
        if (!wire_send(stream, now)) {
            if (!stream->broken)
                event_add(stream->sendable, NULL);
            return SH_OK;
        }
        if (stream->wire)
            arm(stream->pump, stream->wire->due - now);
        if (stream->wire_bytes >= WIRE_MAX)
            return SH_OK;
        switch (sh_sim_carrier_step(&stream->carrier, files, now, &chunk)) {
        case SH_SIM_CUT:
            /* What went before the cut arrives. */
            return stream->wire ? SH_OK : SH_CONNECT_LOST;
        case SH_SIM_IDLE:
            return SH_OK;
        case SH_SIM_WAIT:
            if (!stream->wire || stream->wire->due - now > chunk.wait_ms)
                arm(stream->pump, chunk.wait_ms);
            return SH_OK;
        case SH_SIM_TAKEN:
            if (!chunk.lost && !wire_add(stream, &chunk, now))
                return SH_ENV_NO_MEMORY;
            break;
        }
    }
    pump_soon(stream);
    return SH_OK;
}

static void pump_up(struct sh_sim_stream *stream)
{
    sh_ms now = sh_now();
    if (!stream->broken && sh_sim_in_range(stream->radio, stream->peer)) {
        enum sh_cause cause = move(stream, now);
        if (cause != SH_OK) {
            end(stream, cause);
            return;
        }
    }
    if (stream->closing) {
        if (stream->broken || pending(stream) == 0 || now >= stream->deadline)
            sh_sim_stream_drop(stream);
        return;
    }
    if (stream->was_high && pending(stream) < SH_STREAM_LOW) {
        stream->was_high = false;
        if (stream->stream.ops->writable)
            stream->stream.ops->writable(stream->stream.user);
    }
}

/* ---- calling and greeting ---- */

static void go_up(struct sh_sim_stream *stream)
{
    struct sh_sim_radio *radio = stream->radio;
    stream->state = SH_SIM_UP;
    sh_log("sim: %s %s %s", radio->name, stream->incoming ? "taken from" : "connected to",
           stream->peer);
    radio->ble.ops->stream(&stream->stream, stream->incoming, radio->ble.user);
    if (!stream->stream.ops && stream->state == SH_SIM_UP)
        sh_sim_stream_drop(stream);
}

/* Connects the socket and greets. SH_OK too while it has to be tried again. */
static enum sh_cause call(struct sh_sim_stream *stream)
{
    struct sh_sim_radio *radio = stream->radio;
    struct sh_fault fault = sh_air_files_fault(radio->files, SH_FAULT_CONNECT);
    if (fault.blackhole)
        return SH_OK;
    if (fault.cut || sh_sim_chance(&radio->chance, fault.drop))
        return sh_fail(SH_CONNECT_FAILED, "%s: fault", stream->peer);
    if (!sh_sim_in_range(radio, stream->peer))
        return sh_fail(SH_CONNECT_FAILED, "%s: out of range", stream->peer);
    sh_autoclose int fd = sh_sim_socket(SH_SIM_L2CAP);
    if (fd < 0)
        return sh_fail(SH_CONNECT_FAILED, "socket: %s", strerror(errno));
    struct sockaddr_un address;
    socklen_t length = sh_sim_address(radio->dir, stream->peer, SH_SIM_L2CAP, &address);
    if (connect(fd, (const struct sockaddr *)&address, length) != 0) {
        if (errno != EAGAIN)
            return sh_fail(SH_CONNECT_FAILED, "%s: %s", stream->peer, strerror(errno));
        arm(stream->pump, RETRY_MS);
        return SH_OK;
    }
    struct sh_sim_greeting greeting = {.psm = stream->psm};
    uint8_t packet[SH_SIM_GREETING_MAX];
    memcpy(greeting.name, radio->name, sizeof(greeting.name));
    size_t n = sh_sim_greeting_write(&greeting, packet);
    if (send(fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
        return sh_fail(SH_CONNECT_FAILED, "%s: %s", stream->peer, strerror(errno));
    stream->state = SH_SIM_GREETING;
    int owned = fd;
    fd = -1;
    return socket_set(stream, owned) ? SH_OK : SH_ENV_NO_MEMORY;
}

static void greeted(struct sh_sim_stream *stream, struct sh_bytes packet)
{
    if (!stream->incoming) {
        if (sh_sim_answer_read(packet))
            go_up(stream);
        else
            end(stream, SH_CONNECT_FAILED);
        return;
    }
    struct sh_sim_greeting greeting;
    uint8_t answer[SH_SIM_ANSWER_SIZE];
    sh_sim_answer_write(answer);
    if (!sh_sim_greeting_read(packet, &greeting) || !sh_sim_radio_takes(stream->radio, &greeting) ||
        send(stream->fd, answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        sh_sim_stream_drop(stream);
        return;
    }
    memcpy(stream->peer, greeting.name, sizeof(stream->peer));
    go_up(stream);
}

/* ---- handlers ---- */

static void on_pump(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_sim_stream *stream = user;
    struct sh_sim_radio *radio = stream->radio;
    sh_sim_enter(radio);
    sh_ms now = sh_now();
    if (stream->state == SH_SIM_CALLING && now < stream->start_at) {
        arm(stream->pump, stream->start_at - now);
    } else if (stream->state == SH_SIM_CALLING) {
        enum sh_cause cause = call(stream);
        if (cause != SH_OK)
            end(stream, cause);
    } else if (stream->state == SH_SIM_UP) {
        pump_up(stream);
    }
    sh_sim_leave(radio);
}

static void received(struct sh_sim_stream *stream, struct sh_bytes bytes)
{
    if (stream->state == SH_SIM_GREETING)
        greeted(stream, bytes);
    else if (stream->state == SH_SIM_UP && !stream->closing && stream->stream.ops->rx)
        stream->stream.ops->rx(bytes, stream->stream.user);
}

static void on_readable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_sim_stream *stream = user;
    struct sh_sim_radio *radio = stream->radio;
    uint8_t packet[SH_SIM_CHUNK];
    sh_sim_enter(radio);
    for (unsigned turn = 0; turn < CHUNKS_A_TURN && stream->fd >= 0; turn++) {
        ssize_t n = recv(stream->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            break;
        /* The peer left without reading all of ours; what it sent before is still there. */
        if (n < 0 && (errno == ECONNRESET || errno == EINTR))
            continue;
        if (n <= 0 || (size_t)n > sizeof(packet)) {
            end(stream, stream->state == SH_SIM_UP ? SH_CONNECT_LOST : SH_CONNECT_FAILED);
            break;
        }
        received(stream, SH_BYTES(packet, (size_t)n));
    }
    sh_sim_leave(radio);
}

static void on_sample(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_sim_stream *stream = user;
    struct sh_sim_radio *radio = stream->radio;
    if (stream->state != SH_SIM_UP || stream->closing || !stream->sampling)
        return;
    sh_sim_enter(radio);
    const struct sh_air *air = sh_air_files_air(radio->files);
    arm(stream->sample, air->sample_ms);
    if (radio->ble.ops->rssi && sh_sim_in_range(radio, stream->peer)) {
        struct sh_position here, there;
        sh_air_files_places(radio->files, radio->name, stream->peer, &here, &there);
        uint64_t n = stream->samples++;
        unsigned channel = (unsigned)(n * HOP % DATA_CHANNELS);
        int dbm = sh_air_rssi(air, here, there, channel, n << 1 | stream->incoming);
        radio->ble.ops->rssi(&stream->stream, dbm, radio->ble.user);
    }
    sh_sim_leave(radio);
}

void sh_sim_stream_sample(struct sh_sim_stream *stream, bool on)
{
    stream->sampling = on;
    if (!on)
        event_del(stream->sample);
    else if (!evtimer_pending(stream->sample, NULL) && stream->state == SH_SIM_UP)
        arm(stream->sample, sh_air_files_air(stream->radio->files)->sample_ms);
}

void sh_sim_stream_watch(struct sh_sim_stream *stream, sh_ms now)
{
    if (stream->state < SH_SIM_UP && now >= stream->deadline) {
        end(stream, SH_CONNECT_TIMEOUT);
        return;
    }
    if (stream->state != SH_SIM_UP)
        return;
    if (sh_sim_in_range(stream->radio, stream->peer))
        stream->far_since = 0;
    else if (stream->far_since == 0)
        stream->far_since = now;
    else if (now - stream->far_since >= FAR_MS) {
        end(stream, SH_CONNECT_LOST);
        return;
    }
    pump_up(stream);
}

/* ---- the driver ---- */

static void stream_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    struct sh_sim_stream *sim = of(stream);
    if (sim->state != SH_SIM_UP || sim->closing || bytes.n == 0)
        return;
    if (evbuffer_add(sim->carrier.queue, bytes.p, bytes.n) != 0) {
        /* A stream with a hole in it is worse than none. */
        sh_log("sim: no memory to send");
        sim->broken = true;
        shutdown(sim->fd, SHUT_RDWR);
        return;
    }
    if (pending(sim) >= SH_STREAM_LOW)
        sim->was_high = true;
    pump_soon(sim);
}

static size_t stream_pending(const struct sh_stream *stream)
{
    const struct sh_sim_stream *sim = (const struct sh_sim_stream *)stream;
    return sim->state == SH_SIM_UP ? pending(sim) : 0;
}

static void stream_close(struct sh_stream *stream)
{
    struct sh_sim_stream *sim = of(stream);
    if (sim->closing)
        return;
    sim->closing = true;
    sim->sampling = false;
    sim->deadline = sh_now() + CLOSE_MS;
    /* Freed by the next handler of the radio. */
    if (sim->state != SH_SIM_UP)
        sim->state = SH_SIM_GONE;
    else
        pump_soon(sim);
}

void sh_sim_stream_flush(struct sh_sim_stream *stream)
{
    if (stream->state != SH_SIM_UP || !stream->closing || stream->broken)
        return;
    struct sh_sim_chunk chunk;
    while (wire_send(stream, SH_NEVER) &&
           sh_sim_carrier_step(&stream->carrier, stream->radio->files, SH_NEVER, &chunk) ==
               SH_SIM_TAKEN) {
        if (!chunk.lost && !wire_add(stream, &chunk, 0))
            return;
    }
}

static const struct sh_stream_driver driver = {
    .send = stream_send,
    .pending = stream_pending,
    .close = stream_close,
};
