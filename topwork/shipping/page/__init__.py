"""One page to classify pictures in a browser: served by a server, or a file with the model inside. Read `assembled`."""
