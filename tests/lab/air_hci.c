/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "air_internal.h"

#include <stdlib.h>
#include <string.h>

#include "pairing/air.h"

/* ---- cursor ---- */

struct cursor cursor_of(struct sh_bytes bytes)
{
    return (struct cursor){.p = bytes.p, .n = bytes.n};
}

const uint8_t *take(struct cursor *c, size_t n)
{
    if (n > c->n) {
        c->bad = true;
        c->n = 0;
        return NULL;
    }
    const uint8_t *p = c->p;
    c->p += n;
    c->n -= n;
    return p;
}

uint8_t take_u8(struct cursor *c)
{
    const uint8_t *p = take(c, 1);
    return p ? p[0] : 0;
}

uint16_t take_u16(struct cursor *c)
{
    const uint8_t *p = take(c, 2);
    return p ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

struct address take_address(struct cursor *c)
{
    struct address address = {.type = take_u8(c) & 1}; /* 2 and 3: the same, resolved */
    const uint8_t *p = take(c, sizeof(address.octets));
    if (p)
        memcpy(address.octets, p, sizeof(address.octets));
    return address;
}

bool same_address(const struct address *a, const struct address *b)
{
    return a->type == b->type && memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

/* ---- the engine ---- */

struct air_hci *air_hci_new(unsigned controllers, const struct air_hci_ops *ops, void *user)
{
    if (controllers > AIR_HCI_CONTROLLERS)
        return NULL;
    struct air_hci *air = calloc(1, sizeof(*air) + controllers * sizeof(air->controller[0]));
    if (!air)
        return NULL;
    air->ops = ops;
    air->user = user;
    air->n = controllers;
    air->settings.interval_ms = sh_air_default.interval_ms;
    return air;
}

void air_hci_free(struct air_hci *air)
{
    free(air);
}

void air_hci_set(struct air_hci *air, const struct air_hci_settings *settings)
{
    if (settings->noise != air->settings.noise)
        air->noise_from = 0;
    air->settings = *settings;
}

uint64_t air_draw(struct air_hci *air)
{
    air->chance = sh_air_hash(air->chance, 1);
    return air->chance;
}

bool air_chance(struct air_hci *air, double probability)
{
    return (double)(air_draw(air) >> 11) * 0x1p-53 < probability;
}

void air_to_host(struct air_hci *air, unsigned c, const uint8_t *octets, size_t n)
{
    air->ops->to_host(c, SH_BYTES(octets, n), air->user);
}

void air_to_controller(struct air_hci *air, unsigned c, const uint8_t *octets, size_t n)
{
    air->ops->to_controller(c, SH_BYTES(octets, n), air->user);
}

struct address air_own_address(const struct controller *c, uint8_t own_type)
{
    return own_type & 1 ? c->random_address : c->public_address;
}

/* Vol 4 part A section 2; the lengths in part E section 5.4. */
size_t air_hci_packet_size(struct sh_bytes head)
{
    struct cursor in = cursor_of(head);
    size_t n = 0;
    switch (take_u8(&in)) {
    case H4_COMMAND:
    case H4_SCO:
        take_u16(&in);
        n = 4 + (size_t)take_u8(&in);
        break;
    case H4_EVENT:
        take_u8(&in);
        n = 3 + (size_t)take_u8(&in);
        break;
    case H4_ACL:
        take_u16(&in);
        n = 5 + (size_t)take_u16(&in);
        break;
    case H4_ISO:
        take_u16(&in);
        n = 5 + (size_t)(take_u16(&in) & 0x3fff);
        break;
    default:
        return head.n > 0 ? SIZE_MAX : 0;
    }
    if (in.bad)
        return 0;
    return n <= AIR_HCI_PACKET_MAX ? n : SIZE_MAX;
}

void air_hci_from_host(struct air_hci *air, unsigned c, struct sh_bytes packet, sh_ms now)
{
    if (c >= air->n || packet.n > AIR_HCI_PACKET_MAX)
        return;
    struct cursor in = cursor_of(packet);
    bool taken = false;
    uint8_t kind = take_u8(&in);
    if (kind == H4_ACL) {
        taken = air_links_data(air, c, packet, now);
    } else if (kind == H4_COMMAND) {
        uint16_t op = take_u16(&in);
        uint8_t n = take_u8(&in);
        const uint8_t *parameters = take(&in, n);
        if (parameters) {
            struct controller *self = &air->controller[c];
            self->command = op;
            self->parameters_n = n;
            memcpy(self->parameters, parameters, n);
            taken = air_links_command(air, c, op, packet);
        }
    }
    if (!taken)
        air_to_controller(air, c, packet.p, packet.n);
}

void air_hci_off(struct air_hci *air, unsigned c)
{
    struct controller *self = &air->controller[c];
    struct address address = self->public_address;
    air_links_reset(air, c);
    memset(self, 0, sizeof(*self));
    self->public_address = address;
}

/* What a command changed, once the controller has said that it did. */
static void succeeded(struct air_hci *air, unsigned c, uint16_t op, struct cursor reply, sh_ms now)
{
    struct controller *self = &air->controller[c];
    if (op == OP_READ_BD_ADDR) {
        const uint8_t *p = take(&reply, sizeof(self->public_address.octets));
        if (p)
            memcpy(self->public_address.octets, p, sizeof(self->public_address.octets));
        return;
    }
    if (op != self->command)
        return;
    struct cursor in = cursor_of(SH_BYTES(self->parameters, self->parameters_n));
    if (op == OP_RESET) {
        air_hci_off(air, c);
        return;
    }
    air_adverts_command(air, c, op, in, now);
}

/* Changes the reply's octets where the air knows better; reply is a copy that may be written to. */
static void command_complete(struct air_hci *air, unsigned c, uint8_t *packet, size_t n, sh_ms now)
{
    struct cursor in = cursor_of(SH_BYTES(packet, n));
    take(&in, 4); /* kind, code, length, number of commands */
    uint16_t op = take_u16(&in);
    uint8_t status = take_u8(&in);
    if (in.bad || status != STATUS_OK)
        return;
    uint8_t *rest = packet + (n - in.n);
    if (op == OP_READ_RSSI && in.n >= 3) {
        struct hci_link *link = air_links_find(air, c, (uint16_t)(rest[0] | rest[1] << 8));
        if (link && link->peer != NOBODY)
            rest[2] = (uint8_t)(int8_t)air->ops->link_dbm(link->peer, c, link->samples++,
                                                          link->incoming, air->user);
    } else if (op == OP_LE_READ_BUFFER_SIZE && in.n >= 3) {
        rest[0] = LE_BUFFER_SIZE;
        rest[1] = 0;
        rest[2] = LE_BUFFERS;
    }
    succeeded(air, c, op, in, now);
}

/* True: the kernel did not send the command that this answers. */
static bool of_ours(struct air_hci *air, unsigned c, struct cursor in)
{
    struct controller *self = &air->controller[c];
    take(&in, 2); /* status, number of commands */
    uint16_t op = take_u16(&in);
    unsigned *count = op == OP_DISCONNECT             ? &self->swallow_disconnect
                      : op == OP_LE_CREATE_CONNECTION ? &self->swallow_create
                                                      : NULL;
    if (!count || *count == 0)
        return false;
    (*count)--;
    return true;
}

void air_hci_from_controller(struct air_hci *air, unsigned c, struct sh_bytes packet, sh_ms now)
{
    if (c >= air->n || packet.n > AIR_HCI_PACKET_MAX)
        return;
    uint8_t copy[AIR_HCI_PACKET_MAX];
    if (packet.n > 0)
        memcpy(copy, packet.p, packet.n);
    struct cursor in = cursor_of(packet);
    uint8_t kind = take_u8(&in);
    uint8_t code = take_u8(&in);
    take_u8(&in);
    if (kind == H4_ACL)
        air_links_arrived(air, c, copy, packet.n);
    if (kind == H4_EVENT && !in.bad) {
        switch (code) {
        case EVENT_COMMAND_COMPLETE:
            command_complete(air, c, copy, packet.n, now);
            break;
        case EVENT_COMMAND_STATUS:
            if (of_ours(air, c, in))
                return;
            break;
        case EVENT_DISCONNECTED:
            air_links_disconnected(air, c, in);
            break;
        case EVENT_LE: {
            uint8_t sub = take_u8(&in);
            if (sub == LE_REPORT || sub == LE_REPORT_EXTENDED)
                return; /* the air makes its own */
            if (sub == LE_CONNECTED || sub == LE_CONNECTED_ENHANCED)
                air_links_connected(air, c, in, copy);
            break;
        }
        default:
            break;
        }
    }
    air_to_host(air, c, copy, packet.n);
}

sh_ms air_hci_tick(struct air_hci *air, sh_ms now)
{
    sh_ms adverts = air_adverts_tick(air, now);
    sh_ms links = air_links_tick(air, now);
    return SH_MIN(adverts, links);
}
