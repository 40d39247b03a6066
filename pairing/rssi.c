/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/rssi.h"

#include <bluetooth/hci.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairing/hci_packet.h"
#include "pairing/hci_socket.h"
#include "pairing/mgmt_packet.h"
#include "proto/log.h"
#include "proto/slow.h"

#define PACKETS_A_GO  16
#define UNANSWERED_MS 500 /* then the question is asked again */
#define SILENT_MAX    4   /* so often without any answer: another source */

struct target {
    uint16_t handle;
    struct sh_bdaddr peer;
    unsigned waits_ms; /* for an answer; 0: nothing is asked */
    unsigned silent;
};

/* What a source says of one connection. */
struct answer {
    bool refused; /* the source does not do this here */
    bool gone;    /* there is no such connection */
    struct target *target;
    int dbm;
};

struct source {
    const char *name;
    unsigned period_ms;
    int (*open)(uint16_t index); /* the socket, or -1 with errno */
    size_t (*ask)(uint16_t index, const struct target *target, uint8_t *out);
    bool (*read)(struct sh_rssi *rssi, struct sh_bytes packet, struct answer *ret_answer);
};

struct sh_rssi {
    struct event_base *base;
    uint16_t index;
    void (*sample)(uint16_t handle, int dbm, void *user);
    void *user;
    const struct source *source; /* the end of the table: none works */
    int fd;
    struct event *readable, *timer;
    struct target targets[SH_RSSI_TARGETS];
    size_t count;
    bool running, freed;
};

static struct target *by_handle(struct sh_rssi *rssi, uint16_t handle)
{
    for (size_t i = 0; i < rssi->count; i++) {
        if (rssi->targets[i].handle == handle)
            return &rssi->targets[i];
    }
    return NULL;
}

/* ---- the sources ---- */

static int raw_open(uint16_t index)
{
    return sh_hci_socket_of_command(index, SH_HCI_READ_RSSI);
}

static size_t raw_ask(uint16_t index SH_UNUSED, const struct target *target, uint8_t *out)
{
    sh_hci_read_rssi(target->handle, out);
    return SH_HCI_READ_RSSI_SIZE;
}

static bool raw_read(struct sh_rssi *rssi, struct sh_bytes packet, struct answer *ret_answer)
{
    struct sh_hci_rssi answer;
    if (!sh_hci_rssi_answer(packet, &answer))
        return false;
    *ret_answer = (struct answer){
        .refused = answer.status == SH_HCI_UNKNOWN_COMMAND,
        .gone = answer.status == SH_HCI_UNKNOWN_CONNECTION,
        .target = answer.has_handle ? by_handle(rssi, answer.handle) : NULL,
        .dbm = answer.dbm,
    };
    return true;
}

static int mgmt_open(uint16_t index SH_UNUSED)
{
    return sh_hci_socket(HCI_DEV_NONE, HCI_CHANNEL_CONTROL);
}

static size_t mgmt_ask(uint16_t index, const struct target *target, uint8_t *out)
{
    return sh_mgmt_ask_conn_info(index, target->peer.octets.b, target->peer.type, out);
}

static bool mgmt_read(struct sh_rssi *rssi, struct sh_bytes packet, struct answer *ret_answer)
{
    struct sh_mgmt_answer answer;
    if (!sh_mgmt_answer_read(packet, &answer) || answer.opcode != SH_MGMT_CONN_INFO ||
        answer.index != rssi->index)
        return false;
    *ret_answer = (struct answer){
        .refused = answer.status == SH_MGMT_PERMISSION_DENIED,
        .gone = answer.status == SH_MGMT_NOT_CONNECTED,
        .dbm = answer.rssi_dbm,
    };
    for (size_t i = 0; answer.has_address && i < rssi->count; i++) {
        struct target *target = &rssi->targets[i];
        if (target->peer.type == answer.type &&
            memcmp(target->peer.octets.b, answer.address, sizeof(answer.address)) == 0)
            ret_answer->target = target;
    }
    return true;
}

static const struct source sources[] = {
    {"HCI Read RSSI", 30, raw_open, raw_ask, raw_read},
    {"Get Connection Information", 1000, mgmt_open, mgmt_ask, mgmt_read},
    {NULL, 1000, NULL, NULL, NULL},
};

/* ---- life ---- */

static void on_readable(evutil_socket_t fd, short what, void *user);

static void source_close(struct sh_rssi *rssi)
{
    if (rssi->readable)
        event_free(rssi->readable);
    rssi->readable = NULL;
    sh_closep(&rssi->fd);
    rssi->fd = -1;
}

/* Opens the source, or the first after it that can be opened. */
static void source_open(struct sh_rssi *rssi)
{
    for (; rssi->source->name && rssi->fd < 0; rssi->source += rssi->fd < 0) {
        rssi->fd = rssi->source->open(rssi->index);
        if (rssi->fd < 0) {
            sh_log("rssi: %s on hci%u: %s", rssi->source->name, rssi->index, strerror(errno));
            continue;
        }
        rssi->readable = event_new(rssi->base, rssi->fd, EV_READ | EV_PERSIST, on_readable, rssi);
        if (!rssi->readable || event_add(rssi->readable, NULL) != 0)
            source_close(rssi);
        else
            sh_log("rssi: %s on hci%u", rssi->source->name, rssi->index);
    }
    if (!rssi->source->name)
        sh_log("rssi: no source works on hci%u", rssi->index);
    for (size_t i = 0; i < rssi->count; i++)
        rssi->targets[i].waits_ms = rssi->targets[i].silent = 0;
}

static void source_next(struct sh_rssi *rssi, const char *why)
{
    sh_log("rssi: %s: %s", rssi->source->name, why);
    source_close(rssi);
    rssi->source++;
    source_open(rssi);
}

static void arm(struct sh_rssi *rssi)
{
    const struct timeval tv = {.tv_usec = (suseconds_t)(rssi->source->period_ms % 1000) * 1000,
                               .tv_sec = rssi->source->period_ms / 1000};
    evtimer_add(rssi->timer, &tv);
}

static void ask(struct sh_rssi *rssi, struct target *target)
{
    uint8_t packet[SH_MGMT_ASK_MAX];
    size_t n = rssi->source->ask(rssi->index, target, packet);
    ssize_t sent = send(rssi->fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == (ssize_t)n)
        target->waits_ms = rssi->source->period_ms;
    else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        source_next(rssi, strerror(errno));
}

static void on_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("rssi ask");
    struct sh_rssi *rssi = user;
    for (size_t i = 0; i < rssi->count && rssi->fd >= 0; i++) {
        struct target *target = &rssi->targets[i];
        if (target->waits_ms > 0)
            target->waits_ms += rssi->source->period_ms;
        if (target->waits_ms > UNANSWERED_MS) {
            target->waits_ms = 0;
            if (++target->silent == SILENT_MAX)
                source_next(rssi, "no answer");
        }
        if (target->waits_ms == 0 && rssi->fd >= 0)
            ask(rssi, target);
    }
    if (rssi->count > 0 && rssi->fd >= 0)
        arm(rssi);
}

static void take(struct sh_rssi *rssi, struct sh_bytes packet)
{
    struct answer answer;
    if (!rssi->source->read(rssi, packet, &answer))
        return;
    if (answer.refused) {
        source_next(rssi, "refused");
        return;
    }
    if (!answer.target)
        return;
    uint16_t handle = answer.target->handle;
    answer.target->waits_ms = answer.target->silent = 0;
    if (answer.gone)
        sh_rssi_remove(rssi, handle);
    else if (answer.dbm != SH_HCI_NO_RSSI)
        rssi->sample(handle, answer.dbm, rssi->user);
}

static void release(struct sh_rssi *rssi)
{
    source_close(rssi);
    if (rssi->timer)
        event_free(rssi->timer);
    free(rssi);
}

static void on_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    SH_SLOW("rssi answer");
    struct sh_rssi *rssi = user;
    uint8_t packet[SH_MGMT_EVENT_MAX];
    rssi->running = true;
    for (unsigned i = 0; i < PACKETS_A_GO && !rssi->freed && rssi->fd == fd; i++) {
        ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
        if (n > 0) {
            take(rssi, SH_BYTES(packet, (size_t)n));
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        source_next(rssi, n < 0 ? strerror(errno) : "closed");
    }
    rssi->running = false;
    if (rssi->freed)
        release(rssi);
}

enum sh_cause sh_rssi_new(struct event_base *base, uint16_t index,
                          void (*sample)(uint16_t handle, int dbm, void *user), void *user,
                          struct sh_rssi **ret_rssi)
{
    struct sh_rssi *rssi = calloc(1, sizeof(*rssi));
    if (!rssi)
        return SH_ENV_NO_MEMORY;
    *rssi = (struct sh_rssi){
        .base = base, .index = index, .sample = sample, .user = user, .source = sources, .fd = -1};
    rssi->timer = evtimer_new(base, on_timer, rssi);
    if (!rssi->timer) {
        release(rssi);
        return SH_ENV_NO_MEMORY;
    }
    *ret_rssi = rssi;
    return SH_OK;
}

void sh_rssi_free(struct sh_rssi *rssi)
{
    if (!rssi)
        return;
    rssi->freed = true;
    rssi->count = 0;
    event_del(rssi->timer);
    if (!rssi->running)
        release(rssi);
}

void sh_rssi_add(struct sh_rssi *rssi, uint16_t handle, const struct sh_bdaddr *peer)
{
    if (by_handle(rssi, handle) || rssi->count == SH_RSSI_TARGETS)
        return;
    rssi->targets[rssi->count++] = (struct target){.handle = handle, .peer = *peer};
    if (rssi->count > 1)
        return;
    rssi->source = sources; /* an adapter that was off may do it again */
    source_open(rssi);
    if (rssi->fd >= 0)
        on_timer(-1, 0, rssi);
}

void sh_rssi_remove(struct sh_rssi *rssi, uint16_t handle)
{
    struct target *target = by_handle(rssi, handle);
    if (!target)
        return;
    *target = rssi->targets[--rssi->count];
    if (rssi->count > 0)
        return;
    event_del(rssi->timer);
    source_close(rssi);
}
