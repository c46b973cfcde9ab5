#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The shop's application server: asks the database, computes, answers in JSON.

A request says how much it wants, GET /shop?ms=4&rows=50: CPU time in milliseconds, measured as CPU
time so that a request costs the same on any machine, and rows from the database.
"""
import hashlib
import os
import socket
import sys
import time

ADDRESS = ("127.0.0.1", 8000)
DATABASE = ("127.0.0.1", 6379)


class Database:
    """As much of a Redis client as the shop needs."""

    def __init__(self):
        self.socket = socket.create_connection(DATABASE)
        self.reader = self.socket.makefile("rb")

    def ask(self, *words):
        words = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words)
                            + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.answer()

    def answer(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        if kind == b"$":
            return self.reader.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind == b"-" or not kind:
            raise ConnectionError(line)
        return rest


def fill(database):
    if database.ask("LLEN", "catalogue") == b"0":
        for i in range(0, 1000, 50):
            database.ask("RPUSH", "catalogue", *(f"article-{n}" for n in range(i, i + 50)))


def compute(cpu_ms):
    end = time.thread_time() + cpu_ms / 1000
    digest = b""
    while time.thread_time() < end:
        for _ in range(20):
            digest = hashlib.sha256(digest).digest()
    return digest.hex()


def wishes(target):
    pairs = (pair.partition("=") for pair in target.partition("?")[2].split("&") if pair)
    return {key: float(number) for key, _, number in pairs}


def serve(listener):
    database = Database()
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(8192).decode("latin-1")
            try:
                wish = wishes(request.split(" ")[1])
                rows = database.ask("LRANGE", "catalogue", 0, int(wish.get("rows", 50)) - 1)
                digest = compute(wish.get("ms", 4))
            except (IndexError, ValueError):
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                continue
            articles = ", ".join(f'"{row.decode()}"' for row in rows)
            body = f'{{"digest": "{digest}", "articles": [{articles}]}}\n'.encode()
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


def main():
    n_workers = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    fill(Database())
    listener = socket.create_server(ADDRESS, backlog=1024, reuse_port=False)
    for _ in range(n_workers):
        if os.fork() == 0:
            serve(listener)
    # One worker that dies takes the service down, and systemd starts it anew.
    os.wait()
    sys.exit(1)


main()
