/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "air_internal.h"

#include <string.h>

#define WATCH_MS 50
#define EVENT_MS                                                                                   \
    15 /* between two connection events, in which what has gathered is sent (vol 6 part B section 4.5.1) */
#define BURST_US 20000 /* what a link may be ahead of its rate */
#define HANDLE   0x0fff
/* Of ACL data, vol 4 part E section 5.4.2, in the second octet of the handle: where a packet is of a message, and a broadcast's kind,
 * which no LE link has. */
#define BOUNDARY      0x30
#define FIRST         0x00 /* from a host */
#define FIRST_TO_HOST 0x20
#define SENDER_SHIFT  6
#define FIRST_HANDLE  0x2a /* that the emulation gives */

struct hci_link *air_links_find(struct air_hci *air, unsigned c, uint16_t handle)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct hci_link *link = &air->controller[c].link[i];
        if (link->used && link->handle == handle)
            return link;
    }
    return NULL;
}

/* ---- being connected ---- */

static void command_status(struct air_hci *air, unsigned c, uint16_t op)
{
    const uint8_t event[] = {H4_EVENT, EVENT_COMMAND_STATUS, 4, STATUS_OK, 1, (uint8_t)op, op >> 8};
    air_to_host(air, c, event, sizeof(event));
}

/* LE Create Connection, part E section 7.8.12: it waits here for the peer to be heard. */
static bool create(struct air_hci *air, unsigned c, struct sh_bytes packet)
{
    struct controller *self = &air->controller[c];
    struct cursor in = cursor_of(packet);
    take(&in, 4);
    uint16_t interval = take_u16(&in);
    uint16_t window = take_u16(&in);
    uint8_t policy = take_u8(&in);
    struct address peer = take_address(&in);
    if (in.bad || packet.n != sizeof(self->create) || interval == 0 || policy != 0 ||
        self->creating)
        return false;
    self->creating = true;
    self->create_peer = peer;
    self->create_duty = (double)window / (double)interval;
    memcpy(self->create, packet.p, packet.n);
    command_status(air, c, OP_LE_CREATE_CONNECTION);
    return true;
}

/* Section 7.8.13: the reply, and a Connection Complete that says it did not come to be. */
static bool cancel(struct air_hci *air, unsigned c)
{
    struct controller *self = &air->controller[c];
    if (!self->creating)
        return false;
    self->creating = false;
    const uint8_t reply[] = {H4_EVENT, EVENT_COMMAND_COMPLETE,       4,
                             1,        (uint8_t)OP_LE_CREATE_CANCEL, OP_LE_CREATE_CANCEL >> 8,
                             STATUS_OK};
    air_to_host(air, c, reply, sizeof(reply));
    uint8_t event[3 + 19] = {H4_EVENT, EVENT_LE, 19, LE_CONNECTED, STATUS_UNKNOWN_LINK};
    event[8] = self->create_peer.type;
    memcpy(event + 9, self->create_peer.octets, sizeof(self->create_peer.octets));
    air_to_host(air, c, event, sizeof(event));
    return true;
}

bool air_links_command(struct air_hci *air, unsigned c, uint16_t op, struct sh_bytes packet)
{
    switch (op) {
    case OP_LE_CREATE_CONNECTION:
        return create(air, c, packet);
    case OP_LE_CREATE_CANCEL:
        return cancel(air, c);
    default:
        return false;
    }
}

void air_links_heard(struct air_hci *air, unsigned c, unsigned advertiser)
{
    struct controller *self = &air->controller[c];
    const struct advertiser *adv = &air->controller[advertiser].adv;
    struct address address = air_own_address(&air->controller[advertiser], adv->own_type);
    if (!same_address(&address, &self->create_peer) || adv->type == ADV_SCAN_IND ||
        adv->type == ADV_NONCONN)
        return;
    self->creating = false;
    self->swallow_create++;
    air_to_controller(air, c, self->create, sizeof(self->create));
}

/* Whose address this is, by what its own commands have said. */
static unsigned owner(const struct air_hci *air, unsigned but, const struct address *address)
{
    for (unsigned i = 0; i < air->n; i++) {
        const struct controller *c = &air->controller[i];
        if (i != but && (same_address(address, &c->public_address) ||
                         same_address(address, &c->random_address)))
            return i;
    }
    return NOBODY;
}

/* The emulation tells who was called the handle of who called, and keeps for it the first that is free: with other connections at either
 * end these differ, and what is sent with the wrong one goes nowhere. */
static uint16_t handle_of_called(struct air_hci *air, unsigned c)
{
    uint16_t handle = FIRST_HANDLE;
    const struct hci_link *link = NULL;
    while ((link = air_links_find(air, c, handle)) && !link->orphan)
        handle++;
    return handle;
}

/* The two ends of a connection, as soon as both are known. */
static void join_ends(struct air_hci *air, unsigned c, struct hci_link *link)
{
    for (unsigned i = 0; link->peer != NOBODY && i < LINKS_MAX; i++) {
        struct hci_link *other = &air->controller[link->peer].link[i];
        if (!other->used || other->peer != c || other->incoming == link->incoming ||
            other->far_handle != 0)
            continue;
        other->far_handle = link->handle;
        link->far_handle = other->handle;
        return;
    }
}

/* LE Connection Complete, section 7.7.65.1 (and its enhanced form, whose first fields are the same). */
void air_links_connected(struct air_hci *air, unsigned c, struct cursor in, uint8_t *packet)
{
    uint8_t status = take_u8(&in);
    uint16_t handle = take_u16(&in) & HANDLE;
    uint8_t role = take_u8(&in);
    struct address peer = take_address(&in);
    if (in.bad || status != STATUS_OK)
        return;
    if (role == 1) {
        handle = handle_of_called(air, c);
        packet[CONNECTED_HANDLE] = (uint8_t)handle;
        packet[CONNECTED_HANDLE + 1] = (uint8_t)(handle >> 8);
    }
    /* Advertising ends with the connection that it led to (vol 6 part B section 4.4.2.3). */
    air->controller[c].adv.on = false;
    struct hci_link *link = air_links_find(air, c, handle);
    for (unsigned i = 0; !link && i < LINKS_MAX; i++) {
        if (!air->controller[c].link[i].used)
            link = &air->controller[c].link[i];
    }
    if (!link)
        return;
    memset(link, 0, sizeof(*link));
    link->used = true;
    link->handle = handle;
    link->incoming = role == 1;
    link->peer = owner(air, c, &peer);
    join_ends(air, c, link);
}

/* ---- ending ---- */

/* Disconnection Complete, section 7.7.5. */
void air_links_disconnected(struct air_hci *air, unsigned c, struct cursor in)
{
    uint8_t status = take_u8(&in);
    uint16_t handle = take_u16(&in) & HANDLE;
    struct hci_link *link = air_links_find(air, c, handle);
    if (!in.bad && status == STATUS_OK && link)
        link->used = false;
}

/* The emulation forgets connections of a controller that is reset without a word to their other ends. */
void air_links_reset(struct air_hci *air, unsigned c)
{
    for (unsigned i = 0; i < air->n; i++) {
        for (unsigned k = 0; k < LINKS_MAX; k++) {
            struct hci_link *link = &air->controller[i].link[k];
            if (link->used && link->peer == c)
                link->orphan = true;
        }
    }
}

static void end_link(struct air_hci *air, unsigned c, struct hci_link *link)
{
    uint8_t low = (uint8_t)link->handle;
    uint8_t high = (uint8_t)(link->handle >> 8);
    if (link->orphan) {
        const uint8_t event[] = {H4_EVENT, EVENT_DISCONNECTED, 4, STATUS_OK, low,
                                 high,     STATUS_TIMEOUT};
        link->used = false;
        air_to_host(air, c, event, sizeof(event));
        return;
    }
    if (link->ending)
        return;
    /* The emulation tells both ends; the reason is the one that it is given. */
    const uint8_t command[] = {H4_COMMAND, (uint8_t)OP_DISCONNECT, OP_DISCONNECT >> 8, 3, low,
                               high,       STATUS_TIMEOUT};
    link->ending = true;
    if (link->peer != NOBODY) {
        for (unsigned k = 0; k < LINKS_MAX; k++) {
            struct hci_link *other = &air->controller[link->peer].link[k];
            if (other->used && other->peer == c)
                other->ending = true;
        }
    }
    air->controller[c].swallow_disconnect++;
    air_to_controller(air, c, command, sizeof(command));
}

/* ---- data ---- */

static bool is_far(const struct air_hci *air, unsigned c, const struct hci_link *link)
{
    return link->orphan || (link->peer != NOBODY && !air->ops->in_range(c, link->peer, air->user));
}

static bool may_send(const struct air_hci *air, unsigned c, const struct hci_link *link, sh_ms now)
{
    return now >= link->event_at && !air->settings.hold && !link->ending && !is_far(air, c, link) &&
           link->busy_until_us <= now * 1000;
}

/* The emulation hands data on with its sender's handle. Which sender that is goes with it, where it looks at nothing. */
static void send(struct air_hci *air, unsigned c, struct hci_link *link, uint8_t *octets, size_t n,
                 sh_ms now)
{
    uint8_t boundary = octets[2] & BOUNDARY;
    if (boundary == FIRST)
        boundary = FIRST_TO_HOST;
    octets[2] = (uint8_t)((octets[2] & HANDLE >> 8) | boundary | c << SENDER_SHIFT);
    uint64_t earliest = now * 1000 > BURST_US ? now * 1000 - BURST_US : 0;
    if (air->settings.rate > 0)
        link->busy_until_us =
            SH_MAX(link->busy_until_us, earliest) + n * UINT64_C(1000000) / air->settings.rate;
    air_to_controller(air, c, octets, n);
}

bool air_links_data(struct air_hci *air, unsigned c, struct sh_bytes packet, sh_ms now)
{
    struct cursor in = cursor_of(packet);
    take_u8(&in);
    uint16_t handle = take_u16(&in) & HANDLE;
    struct hci_link *link = in.bad ? NULL : air_links_find(air, c, handle);
    if (!link)
        return false;
    if (link->held_n == 0)
        link->event_at = (now / EVENT_MS + 1) * EVENT_MS;
    if (link->held_n == HELD_MAX) /* more than the kernel was allowed to send */
        return true;
    struct held *held = &link->held[(link->held_first + link->held_n) % HELD_MAX];
    memcpy(held->octets, packet.p, packet.n);
    held->n = packet.n;
    link->held_n++;
    return true;
}

void air_links_arrived(struct air_hci *air, unsigned c, uint8_t *packet, size_t n)
{
    if (n < 3)
        return;
    unsigned sender = packet[2] >> SENDER_SHIFT;
    uint16_t handle = (uint16_t)(packet[1] | packet[2] << 8) & HANDLE;
    packet[2] = packet[2] & (uint8_t)(BOUNDARY | HANDLE >> 8);
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        const struct hci_link *link = &air->controller[c].link[i];
        if (!link->used || link->peer != sender || link->far_handle != handle)
            continue;
        packet[1] = (uint8_t)link->handle;
        packet[2] = (uint8_t)((packet[2] & BOUNDARY) | link->handle >> 8);
        return;
    }
}

static void send_held(struct air_hci *air, unsigned c, struct hci_link *link, sh_ms now)
{
    while (link->held_n > 0 && may_send(air, c, link, now)) {
        struct held *held = &link->held[link->held_first];
        link->held_first = (link->held_first + 1) % HELD_MAX;
        link->held_n--;
        send(air, c, link, held->octets, held->n, now);
    }
}

static sh_ms watch(struct air_hci *air, unsigned c, struct hci_link *link, sh_ms now)
{
    if (!is_far(air, c, link))
        link->far_since = 0;
    else if (link->far_since == 0)
        link->far_since = now;
    else if (now - link->far_since >= AIR_HCI_SUPERVISION)
        end_link(air, c, link);
    if (air->settings.cut && link->used)
        end_link(air, c, link);
    if (!link->used)
        return SH_NEVER;
    send_held(air, c, link, now);
    if (link->held_n == 0 || air->settings.hold || link->ending || link->far_since != 0)
        return now + WATCH_MS;
    sh_ms due = SH_MAX(link->busy_until_us / 1000 + 1, link->event_at);
    return SH_MIN(SH_MAX(due, now + 1), now + WATCH_MS);
}

sh_ms air_links_tick(struct air_hci *air, sh_ms now)
{
    sh_ms next = SH_NEVER;
    for (unsigned c = 0; c < air->n; c++) {
        for (unsigned i = 0; i < LINKS_MAX; i++) {
            struct hci_link *link = &air->controller[c].link[i];
            if (link->used) {
                sh_ms due = watch(air, c, link, now);
                next = SH_MIN(next, due);
            }
        }
    }
    return next;
}
