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

struct target {
    uint16_t handle;
    struct sh_bdaddr peer;
    unsigned waits_ms; /* for an answer; 0: nothing is asked */
};

/* What a source says of one connection. */
struct answer {
    bool refused; /* the source does not do this here */
    struct target *target;
    int dbm; /* SH_HCI_NO_RSSI: it has none for it, or failed */
};

struct source {
    const char *name;
    unsigned period_ms;
    unsigned dry_ms;             /* so long without a level of any connection: another source */
    int (*open)(uint16_t index); /* the socket, or -1 with errno */
    size_t (*ask)(uint16_t index, const struct target *target, uint8_t *out);
    bool (*read)(struct sh_rssi *rssi, struct sh_bytes packet, struct answer *ret_answer);
};

struct sh_rssi {
    struct event_base *base;
    uint16_t index;
    void (*sample)(uint16_t handle, int dbm, void *user);
    void *user;
    const struct source *source; /* the end of the table: none works, it rests */
    unsigned dry_ms;
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
    {"HCI Read RSSI", 30, SH_RSSI_HCI_DRY_MS, raw_open, raw_ask, raw_read},
    {"Get Connection Information", 1000, SH_RSSI_KERNEL_DRY_MS, mgmt_open, mgmt_ask, mgmt_read},
    {NULL, SH_RSSI_REST_MS, 0, NULL, NULL, NULL},
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

static void arm(struct sh_rssi *rssi, unsigned ms)
{
    const struct timeval tv = {.tv_usec = (suseconds_t)(ms % 1000) * 1000, .tv_sec = ms / 1000};
    evtimer_add(rssi->timer, &tv);
}

/* Opens the source, or the first after it that can be opened, and asks it soon. */
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
    rssi->dry_ms = 0;
    for (size_t i = 0; i < rssi->count; i++)
        rssi->targets[i].waits_ms = 0;
    arm(rssi, rssi->source->name ? 0 : rssi->source->period_ms);
}

static void source_next(struct sh_rssi *rssi, const char *why)
{
    sh_log("rssi: %s: %s", rssi->source->name, why);
    source_close(rssi);
    rssi->source++;
    source_open(rssi);
}

/* An adapter that was off, or hung, may do it again. */
static void source_first(struct sh_rssi *rssi)
{
    rssi->source = sources;
    source_open(rssi);
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
    const struct source *source = rssi->source;
    if (rssi->fd < 0) {
        source_first(rssi);
        return;
    }
    if (rssi->dry_ms >= source->dry_ms) {
        source_next(rssi, "no level");
        return;
    }
    arm(rssi, source->period_ms);
    rssi->dry_ms += source->period_ms;
    for (size_t i = 0; i < rssi->count && rssi->source == source; i++) {
        struct target *target = &rssi->targets[i];
        if (target->waits_ms > 0)
            target->waits_ms += source->period_ms;
        if (target->waits_ms > UNANSWERED_MS)
            target->waits_ms = 0;
        if (target->waits_ms == 0)
            ask(rssi, target);
    }
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
    answer.target->waits_ms = 0;
    if (answer.dbm == SH_HCI_NO_RSSI)
        return;
    rssi->dry_ms = 0;
    rssi->sample(answer.target->handle, answer.dbm, rssi->user);
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
    struct target *target = by_handle(rssi, handle);
    if (!target && rssi->count == SH_RSSI_TARGETS)
        return;
    if (!target)
        target = &rssi->targets[rssi->count++];
    *target = (struct target){.handle = handle, .peer = *peer};
    if (rssi->fd < 0)
        source_first(rssi);
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
