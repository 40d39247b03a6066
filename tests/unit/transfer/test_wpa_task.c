/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Owning and joining a group, over a virtual clock: a scripted wpa_supplicant that answers, refuses, is silent, tells twice. */
#include "transfer/wpa_task.h"
#include "unit/transfer/util.h"

#define TEXT(literal) SH_BYTES(literal, sizeof(literal) - 1)
#define NAME          "DIRECT-ab-TESTTEST"

static const char *const kind_names[] = {"own", "second", "client", "station"};

/* What it does with command or event number `fault`; SILENT: and with all that come after it. */
enum fault { NONE, LOST, SILENT, DOUBLED, FAILED };

static struct sh_wpa_task *task;
static enum sh_wpa_task_kind kind;
static sh_ms now;
static char commands[64][192];
static unsigned command_count, answered, told, ups, ends, groups, looks;
static char up_iface[SH_WPA_NAME];
static enum sh_cause end_cause;
static unsigned fault_at;
static enum fault fault;
static bool event_fault; /* it was an event that it happened to */
static bool absent;      /* the group's owner is not heard */

static void on_ask(bool p2p, const char *command, void *user SH_UNUSED)
{
    assert_true(command_count < SH_COUNT(commands));
    assert_true(strlen(command) < sizeof(commands[0]));
    bool station_only = strncmp(command, "SCAN TYPE", 9) == 0 || strncmp(command, "BSS ", 4) == 0;
    assert_false(p2p && station_only);
    strcpy(commands[command_count++], command);
}

static void on_group(void *user SH_UNUSED)
{
    groups++;
    sh_wpa_task_iface(task, "p2p-wlan0-0");
}

static void on_look(void *user SH_UNUSED)
{
    looks++;
}

static void on_up(const char *iface, void *user SH_UNUSED)
{
    ups++;
    strcpy(up_iface, iface);
}

static void on_ended(enum sh_cause cause, void *user SH_UNUSED)
{
    ends++;
    end_cause = cause;
}

static const struct sh_wpa_task_ops ops = {
    .ask = on_ask, .group = on_group, .look = on_look, .up = on_up, .ended = on_ended};

static void begin(enum sh_wpa_task_kind of_kind)
{
    struct sh_wifi_group group = {.ssid_len = strlen(NAME),
                                  .passphrase = "pass \" phrase",
                                  .bssid = {0x46, 0, 0, 0, 0, 1},
                                  .frequency_mhz = 2412};
    memcpy(group.ssid, NAME, strlen(NAME));
    sh_wpa_task_free(task);
    task = NULL;
    kind = of_kind;
    now = 1000;
    command_count = answered = told = ups = ends = groups = looks = 0;
    up_iface[0] = '\0';
    event_fault = false;
    assert_ok(sh_wpa_task_new(kind, &group, &ops, NULL, now, &task));
}

static const char *reply_to(const char *command)
{
    if (strcmp(command, "ADD_NETWORK") == 0)
        return "3\n";
    if (strcmp(command, "STATUS") == 0)
        return "wpa_state=DISCONNECTED\np2p_device_address=42:00:00:00:00:00\n";
    if (strncmp(command, "BSS ", 4) == 0)
        return absent ? "" : "id=0\nbssid=46:00:00:00:00:01\np2p_device_addr=42:00:00:00:00:01\n";
    if (strcmp(command, "LIST_NETWORKS") == 0)
        return "network id / ssid / bssid / flags\n0\thome\tany\t[CURRENT]\n1\toff\tany\t[DISABLED]"
               "\n3\t" NAME "\tany\t\n5\t" NAME "\tany\t[DISABLED][P2P-PERSISTENT]\n";
    return "OK\n";
}

/* The event that a command brings about; NULL: none. *ret_own: from the interface itself. */
static const char *event_of(const char *command, bool *ret_own)
{
    *ret_own = false;
    if (strncmp(command, "SCAN TYPE", 9) == 0)
        return "<3>CTRL-EVENT-SCAN-RESULTS ";
    if (strncmp(command, "P2P_GROUP_ADD", 13) == 0)
        return kind == SH_WPA_OWN
                   ? "<3>P2P-GROUP-STARTED p2p-wlan0-0 GO ssid=\"" NAME "\" freq=2412 "
                     "passphrase=\"x\" go_dev_addr=42:00:00:00:00:00"
                   : "<3>P2P-GROUP-STARTED p2p-wlan0-0 client ssid=\"" NAME "\" freq=2412";
    *ret_own = true;
    return strncmp(command, "SELECT_NETWORK", 14) == 0 ? "<3>CTRL-EVENT-CONNECTED - x" : NULL;
}

static void event(const char *text, bool own)
{
    struct sh_wpa_event e;
    assert_true(sh_wpa_event_parse(SH_BYTES(text, strlen(text)), &e));
    sh_wpa_task_event(task, &e, own, now);
}

static void reply(const char *text)
{
    sh_wpa_task_reply(task, SH_BYTES(text, strlen(text)), now);
}

/* What the interface says of itself. */
static void status(const char *mode, const char *name, const char *state)
{
    char text[160];
    snprintf(text, sizeof(text), "bssid=46:00:00:00:00:01\nssid=%s\nid=3\nmode=%s\nwpa_state=%s\n",
             name, mode, state);
    sh_wpa_task_status(task, "p2p-wlan0-0", SH_BYTES(text, strlen(text)));
}

static const char *own_mode(void)
{
    return kind == SH_WPA_OWN ? "P2P GO" : "station";
}

static unsigned times(unsigned number)
{
    if (fault == SILENT)
        return number >= fault_at ? 0 : 1;
    if (fault == NONE || fault == FAILED || number != fault_at)
        return 1;
    return fault == LOST ? 0 : 2;
}

/* Until it is up, over, or time is up for whoever waits. A reply and an event count as two. */
static void run(void)
{
    sh_ms end = now + 60000;
    bool linked = false;
    while (now < end && ups == 0 && ends == 0) {
        sh_ms next = sh_wpa_task_tick(task, now);
        if (ups + ends > 0)
            break;
        if (looks > 0 && linked && fault != SILENT)
            status(own_mode(), NAME, "COMPLETED");
        looks = 0;
        if (answered == command_count) {
            assert_true(next != SH_NEVER); /* no wait without a deadline */
            now = SH_MAX(next, now + 1);
            continue;
        }
        const char *command = commands[answered];
        bool own = false;
        const char *text = fault == FAILED && told == fault_at ? "FAIL\n" : reply_to(command);
        bool well = strcmp(text, "FAIL\n") != 0;
        for (unsigned i = times(told++); i > 0; i--)
            reply(text);
        const char *e = event_of(commands[answered++], &own);
        if (!e || !well)
            continue;
        event_fault = event_fault || told == fault_at;
        linked = strncmp(command, "SCAN", 4) != 0;
        for (unsigned i = times(told++); i > 0; i--)
            event(e, own);
    }
    /* A lost reply is the socket's to notice (sh_wpa_task_end); for the task it is its own deadline. */
    assert_true(ups > 0 || ends > 0);
}

static bool was_asked(const char *command)
{
    for (unsigned i = 0; i < command_count; i++) {
        if (strcmp(commands[i], command) == 0)
            return true;
    }
    return false;
}

static unsigned undo_count;
static char undone[32][64];

static void on_undo(bool p2p SH_UNUSED, const char *command, void *user SH_UNUSED)
{
    assert_true(undo_count < SH_COUNT(undone));
    strcpy(undone[undo_count++], command);
}

static bool undo(void)
{
    undo_count = 0;
    return sh_wpa_task_undo(task, on_undo, NULL);
}

static void test_own(void **state SH_UNUSED)
{
    fault = NONE;
    begin(SH_WPA_OWN);
    run();
    assert_int_equal(ups, 1);
    assert_string_equal(up_iface, "p2p-wlan0-0");
    assert_true(was_asked("SET_NETWORK 3 ssid 4449524543542d61622d5445535454455354"));
    assert_true(was_asked("SET_NETWORK 3 psk \"pass \" phrase\""));
    assert_true(was_asked("SET_NETWORK 3 mode 3"));
    assert_true(was_asked("SET_NETWORK 3 disabled 2"));
    assert_true(was_asked("SET_NETWORK 3 bssid 42:00:00:00:00:00")); /* else it keeps a copy */
    assert_true(was_asked("P2P_GROUP_ADD persistent=3 freq=2412"));
    assert_true(undo());
    assert_int_equal(undo_count, 3);
    assert_string_equal(undone[0], "P2P_GROUP_REMOVE p2p-wlan0-0");
    assert_string_equal(undone[1], "REMOVE_NETWORK 3");
    assert_string_equal(undone[2], "REMOVE_NETWORK 5"); /* what wpa_supplicant stored itself */
    assert_true(undo());
    assert_int_equal(undo_count, 0);
}

static void test_second(void **state SH_UNUSED)
{
    fault = NONE;
    begin(SH_WPA_SECOND);
    run();
    assert_int_equal(ups, 1);
    assert_string_equal(up_iface, "");
    assert_true(was_asked("SET_NETWORK 3 bssid 46:00:00:00:00:01"));
    assert_true(was_asked("SET_NETWORK 3 scan_freq 2412"));
    assert_true(was_asked("SET_NETWORK 3 proto RSN"));
    assert_true(was_asked("SET_NETWORK 3 pairwise CCMP"));
    assert_true(was_asked("SELECT_NETWORK 3"));
}

static void test_client(void **state SH_UNUSED)
{
    fault = NONE;
    begin(SH_WPA_CLIENT);
    run();
    assert_int_equal(ups, 1);
    assert_string_equal(commands[0], "STATUS");
    assert_string_equal(commands[1], "SCAN TYPE=ONLY freq=2412");
    assert_string_equal(commands[2], "BSS 46:00:00:00:00:01");
    assert_true(was_asked(
        "SET_NETWORK 3 bssid 42:00:00:00:00:01")); /* the device, so that one channel is scanned */
    absent = true;
    begin(SH_WPA_CLIENT);
    run();
    absent = false;
    assert_int_equal(ups, 0);
    assert_cause(end_cause, SH_WIFI_NOT_FOUND);
    assert_true(now < 1000 + 6000);
}

static void test_station(void **state SH_UNUSED)
{
    unsigned enabled[SH_WPA_NETWORKS];
    fault = NONE;
    begin(SH_WPA_STATION);
    run();
    assert_int_equal(ups, 1);
    assert_int_equal(sh_wpa_task_enabled(task, enabled), 1);
    assert_int_equal(enabled[0], 0);
    assert_true(undo());
    assert_string_equal(undone[undo_count - 1],
                        "ENABLE_NETWORK 0"); /* and not the one that was off */
    assert_int_equal(undo_count, 2);
}

/* Every reply and event of every kind: lost, told twice, a refusal in its place. It comes up or is over once, with a cause, in time. */
static void test_faults(void **state SH_UNUSED)
{
    static const enum fault faults[] = {LOST, SILENT, DOUBLED, FAILED};
    for (unsigned k = SH_WPA_OWN; k <= SH_WPA_STATION; k++) {
        for (size_t f = 0; f < SH_COUNT(faults); f++) {
            for (fault_at = 0; fault_at < 40; fault_at++) {
                fault = faults[f];
                begin((enum sh_wpa_task_kind)k);
                run();
                if (ups + ends != 1 || now > 1000 + 30000)
                    fail_msg("%s, fault %d at %u: up %u, ended %u after %llu ms", kind_names[k],
                             (int)fault, fault_at, ups, ends, (unsigned long long)(now - 1000));
                if (ends > 0)
                    assert_true(end_cause != SH_OK);
                if ((fault == DOUBLED || fault == LOST) && event_fault)
                    assert_int_equal(ups, 1);
                (void)undo();
            }
        }
    }
    fault = NONE;
}

/* What silence may be called, and by when. */
static void check_silence(void)
{
    static const unsigned limits[] = {SH_WPA_OWN_MS, SH_WPA_JOIN_MS, SH_WPA_CLIENT_MS,
                                      SH_WPA_JOIN_MS};
    bool right = ups == 1 || end_cause == SH_WIFI_NO_SUPPLICANT ||
                 end_cause == (kind == SH_WPA_OWN ? SH_WIFI_GROUP_FAILED : SH_WIFI_JOIN_TIMEOUT);
    if (!right || now - 1000 > 2 * limits[kind])
        fail_msg("%s, silent at %u: %s after %llu ms", kind_names[kind], fault_at,
                 ups ? "up" : sh_cause_info(end_cause)->name, (unsigned long long)(now - 1000));
}

static void run_with(enum sh_wpa_task_kind of_kind, enum fault with)
{
    fault = with;
    begin(of_kind);
    run();
}

/* Every reply and event, alone and with all that come after it, until none is left; and a clean one right after. */
static void test_silence(void **state SH_UNUSED)
{
    printf("%-8s %-15s %5s %5s %10s\n", "task", "swallowed", "runs", "up", "longest s");
    for (unsigned k = SH_WPA_OWN; k <= SH_WPA_STATION; k++) {
        for (unsigned f = LOST; f <= SILENT; f++) {
            unsigned all = 1, up_count = 0;
            sh_ms longest = 0;
            for (fault_at = 0; fault_at <= all; fault_at++) {
                run_with((enum sh_wpa_task_kind)k, (enum fault)f);
                check_silence();
                all = told;
                up_count += ups;
                longest = SH_MAX(longest, now - 1000);
                run_with((enum sh_wpa_task_kind)k, NONE);
                assert_int_equal(ups, 1);
            }
            printf("%-8s %-15s %5u %5u %10.1f\n", kind_names[k],
                   f == LOST ? "one" : "all from it on", fault_at, up_count,
                   (double)longest / 1000);
            assert_true(fault_at > 10 && up_count > 0);
        }
    }
}

/* Brings the task to where it waits for its link. */
static void until_waiting(enum sh_wpa_task_kind of_kind)
{
    begin(of_kind);
    (void)sh_wpa_task_tick(task, now);
    while (answered < command_count) {
        const char *command = commands[answered++];
        reply(reply_to(command));
        if (strncmp(command, "SCAN TYPE", 9) == 0)
            event("<3>CTRL-EVENT-SCAN-RESULTS ", false);
        (void)sh_wpa_task_tick(task, now);
    }
    assert_int_equal(ups + ends, 0);
}

static const struct {
    enum sh_wpa_task_kind kind;
    const char *event;
    bool own;
    unsigned count;
    enum sh_cause cause;
} failures[] = {
    {SH_WPA_SECOND, "<3>CTRL-EVENT-NETWORK-NOT-FOUND ", true, 3, SH_WIFI_NOT_FOUND},
    {SH_WPA_CLIENT, "<3>CTRL-EVENT-NETWORK-NOT-FOUND ", true, 3, SH_WIFI_NOT_FOUND},
    {SH_WPA_SECOND, "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" reason=WRONG_KEY", true, 1,
     SH_WIFI_WRONG_KEY},
    {SH_WPA_STATION, "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" reason=CONN_FAILED", true, 1,
     SH_WIFI_JOIN_REFUSED},
    {SH_WPA_CLIENT, "<3>CTRL-EVENT-ASSOC-REJECT bssid=1 status_code=17", true, 1,
     SH_WIFI_GROUP_FULL},
    {SH_WPA_SECOND, "<3>CTRL-EVENT-ASSOC-REJECT bssid=1 status_code=1", true, 2,
     SH_WIFI_JOIN_REFUSED},
    {SH_WPA_SECOND, "<3>CTRL-EVENT-AUTH-REJECT x status_code=13", true, 2, SH_WIFI_JOIN_REFUSED},
    {SH_WPA_CLIENT, "<3>P2P-GROUP-FORMATION-FAILURE ", false, 1, SH_WIFI_JOIN_TIMEOUT},
    {SH_WPA_CLIENT, "<3>P2P-GROUP-REMOVED p2p-wlan0-0 client reason=PSK_FAILURE", false, 1,
     SH_WIFI_WRONG_KEY},
    {SH_WPA_CLIENT, "<3>P2P-GROUP-REMOVED p2p-wlan0-0 client reason=FREQ_CONFLICT", false, 1,
     SH_WIFI_CHANNEL_CONFLICT},
    {SH_WPA_OWN, "<3>P2P-GROUP-REMOVED p2p-wlan0-0 GO reason=UNAVAILABLE", false, 1,
     SH_WIFI_GROUP_FAILED},
    {SH_WPA_OWN, "<3>P2P-GO-NEG-FAILURE status=7", false, 1, SH_WIFI_GROUP_FAILED},
    {SH_WPA_OWN, "<3>AP-DISABLED ", true, 1, SH_WIFI_GROUP_FAILED},
    {SH_WPA_OWN, "<4>Failed to set beacon parameters", true, 1, SH_WIFI_GROUP_FAILED},
    {SH_WPA_OWN, "<3>CTRL-EVENT-TERMINATING ", false, 1, SH_WIFI_NO_SUPPLICANT},
    {SH_WPA_SECOND, "<3>CTRL-EVENT-TERMINATING ", true, 1, SH_WIFI_NO_SUPPLICANT},
};

static void test_failures(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(failures); i++) {
        until_waiting(failures[i].kind);
        for (unsigned n = 1; n <= failures[i].count; n++) {
            assert_int_equal(ends, 0);
            event(failures[i].event, failures[i].own);
        }
        assert_int_equal(ends, 1);
        assert_cause(end_cause, failures[i].cause);
        event(failures[i].event, failures[i].own); /* once is enough */
        assert_int_equal(ends, 1);
    }
}

/* What another program does with its own group or station is nothing to us. */
static void test_others(void **state SH_UNUSED)
{
    until_waiting(SH_WPA_OWN);
    event("<3>P2P-GROUP-STARTED p2p-wlan0-7 GO ssid=\"DIRECT-zz-other\" freq=2412", false);
    event("<3>P2P-GROUP-STARTED p2p-wlan0-7 client ssid=\"" NAME "\" freq=2412", false);
    event("<3>P2P-GROUP-REMOVED p2p-wlan0-7 GO reason=REQUESTED", false);
    event("<3>CTRL-EVENT-DISCONNECTED bssid=1 reason=3", false);
    sh_wpa_task_iface(task, ""); /* ours was not found yet */
    event("<3>P2P-GROUP-REMOVED p2p-wlan0-7 GO reason=REQUESTED", false);
    assert_int_equal(ups + ends, 0);
    until_waiting(SH_WPA_CLIENT);
    event("<3>CTRL-EVENT-CONNECTED - the station's own", false);
    event("<3>CTRL-EVENT-SSID-TEMP-DISABLED id=9 reason=WRONG_KEY", false);
    assert_int_equal(ups + ends, 0);
}

/* The group is there before the command that asked for it was answered. */
static void test_early(void **state SH_UNUSED)
{
    begin(SH_WPA_OWN);
    (void)sh_wpa_task_tick(task, now);
    while (strncmp(commands[answered], "P2P_GROUP_ADD", 13) != 0)
        reply(reply_to(commands[answered++]));
    event("<3>P2P-GROUP-STARTED p2p-wlan0-0 GO ssid=\"" NAME "\" freq=2412", false);
    assert_int_equal(ups, 0);
    reply("OK\n");
    reply(reply_to("LIST_NETWORKS"));
    assert_int_equal(ups, 1);
}

/* Its P2P is switched off, which STATUS shows: nothing else is asked of it. */
static void test_no_p2p(void **state SH_UNUSED)
{
    static const enum sh_wpa_task_kind kinds[] = {SH_WPA_OWN, SH_WPA_CLIENT};
    for (size_t i = 0; i < SH_COUNT(kinds); i++) {
        begin(kinds[i]);
        (void)sh_wpa_task_tick(task, now);
        assert_string_equal(commands[answered++], "STATUS");
        reply("wpa_state=DISCONNECTED\naddress=02:00:00:00:00:00\n");
        assert_int_equal(ends, 1);
        assert_cause(end_cause, SH_WIFI_NO_P2P);
        assert_int_equal(command_count, 1);
    }
}

static void test_lost(void **state SH_UNUSED)
{
    fault = NONE;
    begin(SH_WPA_OWN);
    run();
    event("<3>CTRL-EVENT-DISCONNECTED bssid=1 reason=3", true); /* of a member */
    assert_int_equal(ends, 0);
    event("<3>P2P-GROUP-REMOVED p2p-wlan0-0 GO reason=UNAVAILABLE", false);
    assert_cause(end_cause, SH_WIFI_GROUP_LOST);
    begin(SH_WPA_SECOND);
    run();
    event("<3>CTRL-EVENT-DISCONNECTED bssid=1 reason=3", true);
    assert_int_equal(ends, 1);
    assert_cause(end_cause, SH_WIFI_GROUP_LOST);
    assert_true(sh_wpa_task_tick(task, now + 100000) == SH_NEVER);
}

/* Stopped at each step: what was begun is undone, and nothing else. */
static void test_undo(void **state SH_UNUSED)
{
    for (unsigned steps = 0; steps < 12; steps++) {
        begin(SH_WPA_OWN);
        (void)sh_wpa_task_tick(task, now);
        for (unsigned i = 0; i < steps && answered < command_count; i++)
            reply(reply_to(commands[answered++]));
        bool added = steps >= 2, started = steps >= 8;
        assert_true(undo() == (steps != 7)); /* then it may come into being yet */
        assert_int_equal(undo_count, (unsigned)added + (unsigned)started);
        reply("OK\n");
        assert_int_equal(ups + ends, 0);
    }
}

/* A group that was not seen is not named, least of all by the station's interface; one that was is, answered or not. */
static void test_undo_names(void **state SH_UNUSED)
{
    until_waiting(SH_WPA_OWN);
    sh_wpa_task_iface(task, "");
    assert_false(undo());
    assert_int_equal(undo_count, 1);
    assert_string_equal(undone[0], "REMOVE_NETWORK 3");

    begin(SH_WPA_OWN);
    (void)sh_wpa_task_tick(task, now);
    while (strncmp(commands[answered], "P2P_GROUP_ADD", 13) != 0)
        reply(reply_to(commands[answered++]));
    sh_wpa_task_iface(task, "p2p-wlan0-3");
    assert_false(undo());
    assert_int_equal(undo_count, 2);
    assert_string_equal(undone[0], "P2P_GROUP_REMOVE p2p-wlan0-3");

    /* It was removed already: what has the name now is not ours. */
    fault = NONE;
    begin(SH_WPA_OWN);
    run();
    event("<3>P2P-GROUP-REMOVED p2p-wlan0-0 GO reason=UNAVAILABLE", false);
    assert_true(undo());
    assert_string_equal(undone[0], "REMOVE_NETWORK 3");
}

/* The event of its link was lost: the interface's status, asked for every second, does as well. */
static void test_no_event(void **state SH_UNUSED)
{
    for (unsigned k = SH_WPA_OWN; k <= SH_WPA_STATION; k++) {
        until_waiting((enum sh_wpa_task_kind)k);
        sh_ms from = now;
        for (unsigned second = 1; second <= 3; second++) {
            assert_int_equal(looks, second - 1);
            assert_true(sh_wpa_task_tick(task, now) == from + 1000 * second);
            now = from + 1000 * second;
            (void)sh_wpa_task_tick(task, now);
            assert_int_equal(looks, second);
        }
        status(own_mode(), "DIRECT-zz-other", "COMPLETED");
        status(own_mode(), NAME, "SCANNING");
        status(k == SH_WPA_OWN ? "station" : "P2P GO", NAME, "COMPLETED");
        sh_wpa_task_status(task, "p2p-wlan0-0", TEXT("wpa_state=COMPLETED\n"));
        assert_int_equal(ups + ends, 0);
        status(own_mode(), NAME, "COMPLETED");
        if (k == SH_WPA_OWN || k == SH_WPA_CLIENT)
            reply(reply_to("LIST_NETWORKS"));
        assert_int_equal(ups, 1);
        assert_string_equal(up_iface, k == SH_WPA_OWN || k == SH_WPA_CLIENT ? "p2p-wlan0-0" : "");
    }
}

/* It takes what it is asked and says nothing, at any step: it is named as what does not answer. */
static void test_no_answer(void **state SH_UNUSED)
{
    for (unsigned k = SH_WPA_OWN; k <= SH_WPA_STATION; k++) {
        for (unsigned steps = 0; steps < 9; steps++) {
            begin((enum sh_wpa_task_kind)k);
            (void)sh_wpa_task_tick(task, now);
            for (unsigned i = 0; i < steps; i++) {
                reply(reply_to(commands[answered++]));
                if (strncmp(commands[answered - 1], "SCAN TYPE", 9) == 0)
                    event("<3>CTRL-EVENT-SCAN-RESULTS ", false);
            }
            if (answered > 0 && strncmp(commands[answered - 1], "P2P_GROUP_ADD", 13) == 0)
                continue; /* nothing is asked any more */
            now += 7000;
            (void)sh_wpa_task_tick(task, now);
            assert_int_equal(ends, 1);
            assert_cause(end_cause, SH_WIFI_NO_SUPPLICANT);
        }
    }
}

static int teardown(void **state SH_UNUSED)
{
    sh_wpa_task_free(task);
    task = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),      cmocka_unit_test(test_second),
        cmocka_unit_test(test_client),   cmocka_unit_test(test_station),
        cmocka_unit_test(test_faults),   cmocka_unit_test(test_failures),
        cmocka_unit_test(test_others),   cmocka_unit_test(test_early),
        cmocka_unit_test(test_no_p2p),   cmocka_unit_test(test_lost),
        cmocka_unit_test(test_undo),     cmocka_unit_test(test_undo_names),
        cmocka_unit_test(test_no_event), cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_silence),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
