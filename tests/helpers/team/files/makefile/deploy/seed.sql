INSERT INTO greetings (name, message) VALUES ('Ada', 'Good morning, Ada!') ON CONFLICT DO NOTHING;
