/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wpa_reply.h"

#include <string.h>
#include <wpa_ctrl.h>

/* ---- A cursor over text that ends somewhere ---- */

static bool starts_with(struct sh_bytes text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

static struct sh_bytes skip(struct sh_bytes text, size_t n)
{
    return SH_BYTES(text.p + n, text.n - n);
}

/* What stands before the first octet of that kind, or all; moves *text behind that octet. */
static struct sh_bytes until(struct sh_bytes *text, char end)
{
    const uint8_t *at = text->n > 0 ? memchr(text->p, end, text->n) : NULL;
    struct sh_bytes part = {.p = text->p, .n = at ? (size_t)(at - text->p) : text->n};
    *text = at ? skip(*text, part.n + 1) : SH_BYTES(text->p + text->n, 0);
    return part;
}

/* NULs and what does not fit make it none. */
static bool copy(struct sh_bytes part, char *out, size_t out_size)
{
    if (part.n >= out_size || (part.n > 0 && memchr(part.p, '\0', part.n)))
        return false;
    if (part.n > 0)
        memcpy(out, part.p, part.n);
    out[part.n] = '\0';
    return true;
}

static bool number(struct sh_bytes text, unsigned *ret_number)
{
    unsigned value = 0;
    size_t n = 0;
    while (n < text.n && n < 9 && text.p[n] >= '0' && text.p[n] <= '9')
        value = value * 10 + (unsigned)(text.p[n++] - '0');
    if (n == 0 || n != text.n)
        return false;
    *ret_number = value;
    return true;
}

static struct sh_bytes without_newline(struct sh_bytes text)
{
    if (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    return text;
}

/* Moves behind "<3>". */
static bool skip_level(struct sh_bytes *text)
{
    size_t n = 1;
    if (text->n < 3 || text->p[0] != '<')
        return false;
    while (n < text->n && n < 4 && text->p[n] >= '0' && text->p[n] <= '9')
        n++;
    if (n == 1 || n == text->n || text->p[n] != '>')
        return false;
    *text = skip(*text, n + 1);
    return true;
}

static bool skip_head(struct sh_bytes *text)
{
    if (starts_with(*text, "IFNAME="))
        (void)until(text, ' ');
    return skip_level(text);
}

bool sh_wpa_is_event(struct sh_bytes datagram)
{
    return skip_head(&datagram);
}

/* ---- Replies ---- */

bool sh_wpa_is_ok(struct sh_bytes reply)
{
    reply = without_newline(reply);
    return reply.n == 2 && memcmp(reply.p, "OK", 2) == 0;
}

bool sh_wpa_number(struct sh_bytes reply, unsigned *ret_number)
{
    return number(without_newline(reply), ret_number);
}

bool sh_wpa_value(struct sh_bytes reply, const char *key, char *out, size_t out_size)
{
    size_t n = strlen(key);
    while (reply.n > 0) {
        struct sh_bytes line = until(&reply, '\n');
        if (line.n > n && line.p[n] == '=' && memcmp(line.p, key, n) == 0)
            return copy(skip(line, n + 1), out, out_size);
    }
    return false;
}

static bool contains(struct sh_bytes text, const char *word)
{
    return text.n > 0 && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* "0\tname\tany\t[DISABLED][P2P-PERSISTENT]" */
static bool read_network(struct sh_bytes line, struct sh_bytes ssid, struct sh_wpa_network *network)
{
    struct sh_bytes id = until(&line, '\t');
    struct sh_bytes name = until(&line, '\t');
    (void)until(&line, '\t');
    *network = (struct sh_wpa_network){
        .ours = ssid.n > 0 && name.n == ssid.n && memcmp(name.p, ssid.p, ssid.n) == 0,
        .enabled = !contains(line, "[DISABLED]") && !contains(line, "[P2P-PERSISTENT]"),
        .current = contains(line, "[CURRENT]")};
    return number(id, &network->id);
}

static size_t add_networks(struct sh_bytes reply, struct sh_bytes ssid, bool ours, size_t count,
                           struct sh_wpa_network *out)
{
    while (reply.n > 0 && count < SH_WPA_NETWORKS) {
        struct sh_bytes line = until(&reply, '\n');
        struct sh_wpa_network network;
        if (read_network(line, ssid, &network) && network.ours == ours)
            out[count++] = network;
    }
    return count;
}

size_t sh_wpa_networks(struct sh_bytes reply, struct sh_bytes ssid,
                       struct sh_wpa_network out[SH_WPA_NETWORKS])
{
    size_t count = add_networks(reply, ssid, true, 0, out);
    return add_networks(reply, ssid, false, count, out);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool sh_wpa_address(const char *text, uint8_t ret_address[6])
{
    uint8_t address[6];
    if (strlen(text) != 17)
        return false;
    for (size_t i = 0; i < sizeof(address); i++) {
        int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return false;
        address[i] = (uint8_t)(high * 16 + low);
    }
    memcpy(ret_address, address, sizeof(address));
    return true;
}

/* ---- Events ---- */

/* WORD(name): the macros of wpa_ctrl.h end in a space, which is not there where no argument follows. */
static const struct {
    const char *name;
    enum sh_wpa_event_kind kind;
} kinds[] = {
    {P2P_EVENT_GROUP_STARTED, SH_WPA_GROUP_STARTED},
    {P2P_EVENT_GROUP_REMOVED, SH_WPA_GROUP_REMOVED},
    {P2P_EVENT_GROUP_FORMATION_FAILURE, SH_WPA_GROUP_FORMATION_FAILURE},
    {P2P_EVENT_GO_NEG_FAILURE, SH_WPA_GO_NEG_FAILURE},
    {WPA_EVENT_CONNECTED, SH_WPA_CONNECTED},
    {WPA_EVENT_DISCONNECTED, SH_WPA_DISCONNECTED},
    {WPA_EVENT_ASSOC_REJECT, SH_WPA_ASSOC_REJECT},
    {WPA_EVENT_AUTH_REJECT, SH_WPA_AUTH_REJECT},
    {WPA_EVENT_NETWORK_NOT_FOUND, SH_WPA_NETWORK_NOT_FOUND},
    {WPA_EVENT_TEMP_DISABLED, SH_WPA_TEMP_DISABLED},
    {WPA_EVENT_SCAN_RESULTS, SH_WPA_SCAN_RESULTS},
    {WPA_EVENT_SCAN_FAILED, SH_WPA_SCAN_FAILED},
    {WPA_EVENT_FREQ_CONFLICT, SH_WPA_FREQ_CONFLICT},
    {AP_EVENT_ENABLED, SH_WPA_AP_ENABLED},
    {AP_EVENT_DISABLED, SH_WPA_AP_DISABLED},
    {"Failed to set beacon parameters ", SH_WPA_BEACON_FAILED},
    {"Failed to start AP functionality ", SH_WPA_BEACON_FAILED},
    {AP_STA_POSSIBLE_PSK_MISMATCH, SH_WPA_PSK_MISMATCH},
    {AP_STA_CONNECTED, SH_WPA_STA_CONNECTED},
    {AP_STA_DISCONNECTED, SH_WPA_STA_DISCONNECTED},
    {WPA_EVENT_TERMINATING, SH_WPA_TERMINATING},
};

const char *sh_wpa_event_name(enum sh_wpa_event_kind kind)
{
    for (size_t i = 0; i < SH_COUNT(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "event";
}

/* Is this its name, with an argument or the end behind it? Moves behind it. */
static bool take_name(struct sh_bytes *text, const char *name)
{
    size_t n = strlen(name);
    if (n > 0 && name[n - 1] == ' ')
        n--;
    if (text->n < n || memcmp(text->p, name, n) != 0 || (text->n > n && text->p[n] != ' '))
        return false;
    *text = skip(*text, SH_MIN(n + 1, text->n));
    return true;
}

/* What stands in quotes at the start, where a backslash takes the next octet's meaning; moves behind the closing one. */
static struct sh_bytes quoted(struct sh_bytes *text)
{
    size_t n = 1;
    while (n < text->n && text->p[n] != '"')
        n += text->p[n] == '\\' ? 2 : 1;
    n = SH_MIN(n, text->n);
    struct sh_bytes part = SH_BYTES(text->p + 1, n - 1);
    *text = skip(*text, SH_MIN(n + 1, text->n));
    return part;
}

/* The value of the first "key=value", where a value may be in quotes. Names, which somebody else chose, are always in quotes. */
static bool argument(struct sh_bytes text, const char *key, char *out, size_t out_size)
{
    size_t length = strlen(key);
    while (text.n > 0) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '=' && text.p[n] != ' ')
            n++;
        bool found = n == length && n < text.n && text.p[n] == '=' && memcmp(text.p, key, n) == 0;
        text = skip(text, SH_MIN(n + 1, text.n));
        if (n > 0 && text.n > 0 && text.p[0] == '"' && text.p[-1] == '=') {
            struct sh_bytes value = quoted(&text);
            if (found)
                return copy(value, out, out_size);
        } else if (found) {
            return copy(until(&text, ' '), out, out_size);
        }
    }
    return false;
}

/* "p2p-wlan0-0 GO ssid=..." */
static void take_group(struct sh_bytes text, struct sh_wpa_event *event)
{
    struct sh_bytes iface = until(&text, ' ');
    struct sh_bytes role = until(&text, ' ');
    event->owner = role.n == 2 && memcmp(role.p, "GO", 2) == 0;
    if (!copy(iface, event->iface, sizeof(event->iface)))
        event->iface[0] = '\0';
    if (event->kind != SH_WPA_GROUP_STARTED ||
        !argument(text, "ssid", event->ssid, sizeof(event->ssid)))
        event->ssid[0] = '\0';
}

bool sh_wpa_event_parse(struct sh_bytes datagram, struct sh_wpa_event *ret_event)
{
    struct sh_wpa_event event = {.kind = SH_WPA_OTHER};
    char status[8] = "";
    if (!skip_head(&datagram))
        return false;
    datagram = without_newline(datagram);
    for (size_t i = 0; i < SH_COUNT(kinds) && event.kind == SH_WPA_OTHER; i++) {
        if (take_name(&datagram, kinds[i].name))
            event.kind = kinds[i].kind;
    }
    if (event.kind == SH_WPA_GROUP_STARTED || event.kind == SH_WPA_GROUP_REMOVED)
        take_group(datagram, &event);
    if (event.kind != SH_WPA_OTHER &&
        !argument(datagram, "reason", event.reason, sizeof(event.reason)))
        event.reason[0] = '\0';
    if (argument(datagram, "status_code", status, sizeof(status)) &&
        !number(SH_BYTES(status, strlen(status)), &event.status))
        event.status = 0;
    *ret_event = event;
    return true;
}
