/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "pairing/bluez_radio.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"

#define PATIENCE_MS 1500 /* for the scan to end */
#define CONNECT_MS                                                                                 \
    3500 /* below the 4 s after which Linux gives up: it may not outlast that (see given_up) */
#define END_MS   3000 /* bluetoothd waits 2 s before it ends a connection */
#define PAUSE_MS 200  /* between two tries */
#define BLOCKED_MS                                                                                 \
    4300 /* what a call that was given up may block Linux for: its own 4 s, and some more */
#define TRIES         2
#define NO_ADAPTER_MS 5000
#define REASSERT_MS   300

static void arm(struct event *event, unsigned ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    evtimer_add(event, &tv);
}

/* ---- calling ---- */

/* The peer as bluetoothd shows it, if it is connected. */
static const struct sh_bluez_device *connected_peer(const struct sh_bluez_radio *radio)
{
    struct sh_bluez *objects = sh_bluez_daemon_objects(radio->daemon);
    size_t n = strlen(radio->adapter.path);
    for (size_t i = 0; i < sh_bluez_device_count(objects); i++) {
        const struct sh_bluez_device *device = sh_bluez_device_at(objects, i);
        bool random = radio->call.peer.type == BDADDR_LE_RANDOM;
        bdaddr_t octets;
        if (device->connected && device->random == random &&
            strncmp(device->path, radio->adapter.path, n) == 0 && device->path[n] == '/' &&
            str2ba(device->address, &octets) == 0 && bacmp(&octets, &radio->call.peer.octets) == 0)
            return device;
    }
    return NULL;
}

/* A call whose connection was not up. Linux 6.1 does not notice when it cancels one in the moment in which the controller makes it: for
 * 4 s it then does nothing else, and fails whatever connection is being made after that, with our sockets on it. Closing a socket
 * after its connection failed is what some of its releases do not survive (6.1.192, hci_chan_del). So: not one that fails there. */
static void given_up(struct sh_bluez_radio *radio)
{
    if (!radio->daemon || !connected_peer(radio))
        radio->blocked_until = sh_now() + BLOCKED_MS;
}

/* How long a call has to wait, at least ms. */
static unsigned blocked_ms(const struct sh_bluez_radio *radio, unsigned ms)
{
    sh_ms now = sh_now(), left = radio->blocked_until > now ? radio->blocked_until - now : 0;
    return SH_MAX(ms, (unsigned)left);
}

void sh_bluez_link_call_stop(struct sh_bluez_radio *radio)
{
    struct sh_bluez_call *call = &radio->call;
    if (call->state == SH_BLUEZ_CALL_OUT)
        given_up(radio);
    call->state = SH_BLUEZ_NO_CALL;
    sh_l2cap_call_stop(radio->l2cap);
    sh_l2cap_spares_close(&call->spares);
    call->ending = sd_bus_slot_unref(call->ending);
    event_del(call->timer);
}

static void call_end(struct sh_bluez_radio *radio)
{
    radio->call.state = SH_BLUEZ_NO_CALL;
    sh_bluez_link_call_stop(radio);
    sh_bluez_kick(radio);
}

/* A try is over: another one, with everything else off, or that was it. */
static void call_failed(struct sh_bluez_radio *radio, enum sh_cause cause)
{
    struct sh_bluez_call *call = &radio->call;
    sh_log("bluez: connecting, try %u: %s: %s", call->tries, sh_cause_info(cause)->name,
           sh_detail());
    sh_l2cap_spares_close(&call->spares);
    if (call->tries < TRIES) {
        call->state = SH_BLUEZ_CALL_WAITS;
        call->patience_over = false;
        call->anew = cause == SH_CONNECT_FAILED; /* refused */
        arm(call->timer, blocked_ms(radio, PAUSE_MS));
        sh_bluez_kick(radio);
        return;
    }
    call_end(radio);
    if (radio->ble.ops->connect_failed)
        radio->ble.ops->connect_failed(cause, radio->ble.user);
}

static void call_out(struct sh_bluez_radio *radio)
{
    struct sh_bluez_call *call = &radio->call;
    struct sh_bdaddr own;
    int fd = -1;
    call->made = call->made || !connected_peer(radio);
    call->tries++;
    call->state = SH_BLUEZ_CALL_OUT;
    call->ending = sd_bus_slot_unref(call->ending);
    event_del(call->timer);
    enum sh_cause cause = sh_bluez_own(radio, &own) ? SH_OK : SH_CONNECT_FAILED;
    if (cause == SH_OK)
        cause = sh_l2cap_socket_call(&own, &call->peer, call->psm, &fd);
    if (cause == SH_OK && call->made)
        sh_l2cap_socket_spare(&own, &call->peer, &call->spares);
    if (cause == SH_OK)
        cause = sh_l2cap_call(radio->l2cap, fd, CONNECT_MS);
    if (cause != SH_OK)
        call_failed(radio, cause);
}

/* bluetoothd keeps a connection up that it sees, with channels of its own: what we made we end. */
static void hang_up(struct sh_bluez_radio *radio)
{
    struct sh_bus *bus = sh_bluez_daemon_bus(radio->daemon);
    sd_bus_message *m = NULL;
    if (!radio->hang_up[0] || !bus ||
        sh_bluez_message(bus, radio->hang_up, SH_BLUEZ_DEVICE, "Disconnect", &m) != SH_OK)
        return;
    radio->hang_up[0] = '\0';
    sd_bus_message_set_expect_reply(m, false);
    if (sd_bus_send(sh_bus_sd(bus), m, NULL) < 0)
        sh_log("bluez: the connection stays");
    sh_bus_kick(bus);
    sd_bus_message_unref(m);
}

/* Whatever it answered: the call tells whether it was of use. */
static int on_call_ending(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_radio *radio = user;
    if (sh_bluez_error(answer, "Disconnect") != SH_OK)
        sh_log("bluez: %s", sh_detail());
    sh_bluez_radio_enter(radio);
    radio->call.ending = sd_bus_slot_unref(radio->call.ending);
    sh_bluez_link_review(radio); /* or it is down a moment later */
    sh_bluez_radio_leave(radio);
    return 1;
}

/* Ends the connection to the peer first, if one is wanted anew and one is there: a channel that the two kernels disagree about
 * lives as long as it does. One that we hung up may be up for a moment more; one that somebody else uses stays. */
static void call_anew(struct sh_bluez_radio *radio)
{
    struct sh_bluez_call *call = &radio->call;
    struct sh_bus *bus = sh_bluez_daemon_bus(radio->daemon);
    const struct sh_bluez_device *peer = bus ? connected_peer(radio) : NULL;
    sd_bus_message *m = NULL;
    enum sh_cause cause = SH_OK;
    if (!peer || (call->tries > 0 && !call->anew)) {
        call_out(radio);
        return;
    }
    if (call->anew)
        cause = sh_bluez_message(bus, peer->path, SH_BLUEZ_DEVICE, "Disconnect", &m);
    if (m) {
        sh_log("bluez: ending the connection to begin it anew");
        cause = sh_bus_call(bus, m, on_call_ending, radio, END_MS, &call->ending);
        sd_bus_message_unref(m);
    }
    if (cause != SH_OK)
        sh_log("bluez: %s", sh_detail());
    call->anew = false;
    call->state = SH_BLUEZ_CALL_ENDS;
    arm(call->timer, END_MS);
}

void sh_bluez_link_review(struct sh_bluez_radio *radio)
{
    struct sh_bluez_call *call = &radio->call;
    if (call->state == SH_BLUEZ_CALL_ENDS && !call->ending && !connected_peer(radio))
        call_out(radio);
    if (call->state != SH_BLUEZ_CALL_WAITS || !radio->usable)
        return;
    bool pausing = (call->tries > 0 && !call->patience_over) || blocked_ms(radio, 0) > 0;
    if (!pausing && (sh_bluez_scan_idle(radio->scan) || call->patience_over))
        call_anew(radio);
}

static void on_call_timer(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez call");
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    struct sh_bluez_call *call = &radio->call;
    if (call->state == SH_BLUEZ_CALL_ENDS) {
        call_out(radio);
    } else if (call->state == SH_BLUEZ_CALL_WAITS && radio->usable) {
        call->patience_over = true;
        call_anew(radio);
    } else if (call->state == SH_BLUEZ_CALL_WAITS) {
        call->tries = TRIES;
        call_failed(radio, sh_fail(SH_CONNECT_TIMEOUT, "the adapter is not usable"));
    }
    sh_bluez_radio_leave(radio);
}

enum sh_cause sh_bluez_link_call(struct sh_bluez_radio *radio, const char *address, uint8_t psm,
                                 bool anew)
{
    struct sh_bluez_call *call = &radio->call;
    struct sh_bdaddr peer;
    if (!sh_bdaddr_read(address, &peer))
        return sh_fail(SH_CONNECT_FAILED, "%s is no address", address);
    sh_bluez_link_call_stop(radio);
    /* What an earlier call made, and came to nothing, may be up still. */
    bool made = call->made && memcmp(&peer, &call->peer, sizeof(peer)) == 0;
    *call = (struct sh_bluez_call){.state = SH_BLUEZ_CALL_WAITS,
                                   .peer = peer,
                                   .psm = psm,
                                   .anew = anew,
                                   .made = made,
                                   .timer = call->timer};
    arm(call->timer, blocked_ms(radio, radio->usable ? PATIENCE_MS : NO_ADAPTER_MS));
    sh_bluez_kick(radio);
    return SH_OK;
}

/* ---- streams ---- */

static void call_done(struct sh_bluez_radio *radio)
{
    char text[SH_BLUEZ_ADDRESS];
    ba2str(&radio->call.peer.octets, text);
    for (char *c = text; *c; c++)
        *c = *c == ':' ? '_' : *c;
    int n =
        snprintf(radio->hang_up, sizeof(radio->hang_up), "%s/dev_%s", radio->adapter.path, text);
    if (!radio->call.made || n >= (int)sizeof(radio->hang_up))
        radio->hang_up[0] = '\0';
    radio->call.made = false;
    call_end(radio);
}

static void on_stream(struct sh_stream *stream, bool incoming, void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    if (incoming) {
        radio->visitors++;
        arm(radio->reassert, REASSERT_MS); /* the controller stopped for the connection */
    } else {
        call_done(radio);
    }
    radio->ble.ops->stream(stream, incoming, radio->ble.user);
    sh_bluez_radio_leave(radio);
}

static void on_connect_failed(enum sh_cause cause, void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    if (cause == SH_CONNECT_TIMEOUT)
        given_up(radio);
    call_failed(radio, cause);
    sh_bluez_radio_leave(radio);
}

static void on_ended(struct sh_stream *stream, bool incoming, void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_link_sample(radio, stream, false);
    if (incoming) {
        radio->visitors--;
        arm(radio->reassert, REASSERT_MS);
    } else {
        hang_up(radio);
    }
}

/* Linux 6.1 goes on advertising then as somebody who takes no connections, until it is told again. */
void sh_bluez_link_ended(struct sh_bluez_radio *radio)
{
    arm(radio->reassert, REASSERT_MS);
}

static const struct sh_l2cap_ops l2cap_ops = {
    .stream = on_stream, .connect_failed = on_connect_failed, .ended = on_ended};

enum sh_cause sh_bluez_link_listen(struct sh_bluez_radio *radio)
{
    struct sh_bdaddr own;
    int fd = -1;
    if (!sh_bluez_own(radio, &own))
        return sh_fail(SH_ENV_RADIO_FAILED, "%s says no address", radio->adapter.name);
    if (radio->listening && memcmp(&radio->listens_as, &own, sizeof(own)) == 0)
        return SH_OK;
    sh_bluez_link_unlisten(radio);
    SH_TRY(sh_l2cap_socket_listen(&own, &fd, &radio->payload.psm));
    SH_TRY(sh_l2cap_listen(radio->l2cap, fd, SH_BLE_STREAMS));
    sh_log("bluez: listening on PSM 0x%02x", radio->payload.psm);
    radio->listening = true;
    radio->listens_as = own;
    return SH_OK;
}

void sh_bluez_link_unlisten(struct sh_bluez_radio *radio)
{
    sh_l2cap_listen_stop(radio->l2cap);
    radio->listening = false;
}

/* ---- signal strength ---- */

static void on_sample(uint16_t handle, int dbm, void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    for (size_t i = 0; i < radio->sampled_count && !radio->freed; i++) {
        if (radio->sampled[i].handle == handle && radio->ble.ops->rssi)
            radio->ble.ops->rssi(radio->sampled[i].stream, dbm, radio->ble.user);
    }
    sh_bluez_radio_leave(radio);
}

static void unsample(struct sh_bluez_radio *radio, const struct sh_stream *stream)
{
    for (size_t i = 0; i < radio->sampled_count; i++) {
        if (radio->sampled[i].stream != stream)
            continue;
        uint16_t handle = radio->sampled[i].handle;
        bool shared = false;
        radio->sampled[i] = radio->sampled[--radio->sampled_count];
        for (size_t k = 0; k < radio->sampled_count; k++)
            shared = shared || radio->sampled[k].handle == handle;
        if (!shared)
            sh_rssi_remove(radio->rssi, handle);
        return;
    }
}

void sh_bluez_link_sample(struct sh_bluez_radio *radio, struct sh_stream *stream, bool on)
{
    uint16_t handle = 0;
    struct sh_bdaddr peer;
    unsample(radio, stream);
    sh_bluez_ranging_stop(radio, stream);
    if (!on || radio->sampled_count == SH_COUNT(radio->sampled) || !radio->rssi)
        return;
    if (!sh_l2cap_link(sh_l2cap_fd(stream), &handle, &peer)) {
        sh_log("bluez: a stream that is not up has no signal strength");
        return;
    }
    radio->sampled[radio->sampled_count++] =
        (struct sh_bluez_sampled){.handle = handle, .stream = stream};
    sh_rssi_add(radio->rssi, handle, &peer);
    /* Who called also asks for Channel Sounding: only one of both may. */
    const struct sh_bluez_device *device = radio->advertising ? NULL : connected_peer(radio);
    if (device)
        sh_bluez_ranging_start(radio, stream, device->path);
}

enum sh_cause sh_bluez_link_adapter(struct sh_bluez_radio *radio, uint16_t index)
{
    sh_rssi_free(radio->rssi);
    radio->rssi = NULL;
    radio->sampled_count = 0;
    return sh_rssi_new(radio->base, index, on_sample, radio, &radio->rssi);
}

/* ---- life ---- */

enum sh_cause sh_bluez_link_open(struct sh_bluez_radio *radio)
{
    radio->call.timer = evtimer_new(radio->base, on_call_timer, radio);
    if (!radio->call.timer)
        return SH_ENV_NO_MEMORY;
    return sh_l2cap_new(radio->base, &l2cap_ops, radio, &radio->l2cap);
}

void sh_bluez_link_close(struct sh_bluez_radio *radio)
{
    sh_bluez_ranging_stop(radio, radio->sounded);
    if (radio->daemon)
        hang_up(radio);
    if (radio->l2cap)
        sh_bluez_link_call_stop(radio);
    sh_rssi_free(radio->rssi);
    radio->rssi = NULL;
    radio->sampled_count = 0;
    sh_l2cap_free(radio->l2cap);
    radio->l2cap = NULL;
    if (radio->call.timer)
        event_free(radio->call.timer);
    radio->call.timer = NULL;
}
