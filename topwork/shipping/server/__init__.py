"""Serve exported models over HTTP, with one page. Read `topwork.shipping.server.app` first."""
